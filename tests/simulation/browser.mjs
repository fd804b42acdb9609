// The browser client in lockstep with a simulation: one JSON line in, all that it causes, one JSON line out.
//
// Real: relay/web/client. Simulated: its Host, which is the clock, timers, sockets and requests of the
// simulation. Every line says what the time is and what happens to one client; the client runs until
// nothing is left but to wait, and what it did meanwhile (frames, requests, timers, what it shows) is the
// answer. argv: the directory of the client's modules.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { connect } = await import(pathToFileURL(`${process.argv[2]}/index.js`).href);

/** @type {Map<string, Client>} */
const clients = new Map();

class Client {
  time = 0;
  /** @type {any[]} What it did since the last answer. */
  did = [];
  /** @type {Map<number, {at: number, order: number, call: () => void}>} */
  timers = new Map();
  sockets = new Map();
  requests = new Map();
  listeners = [];
  views = new Map();
  list = null;
  numbers = 0;

  constructor({ time, seed, sub, rights, tokenMs, tokenFaults }) {
    this.time = time;
    this.chance = randomOf(seed);
    this.rights = rights;
    let serial = 0;
    const fresh = () => {
      const [least, most] = tokenMs;
      const endsAt = Math.floor(this.time + least + (most - least) * this.random());
      return (this.last = `${sub}.${this.rights}.${endsAt}.${++serial}`);
    };
    this.tokenFaults = tokenFaults === null ? null : randomOf(tokenFaults);
    const token = () => this.misbehaves() ?? fresh();
    this.relay = connect({
      url: "ws://relay.test/ws",
      token,
      host: this.host(),
    });
    this.relay.onMessage((message) => this.look(message));
  }

  host() {
    return {
      now: () => this.time,
      random: () => this.random(),
      setTimeout: (call, ms) => {
        const number = ++this.numbers;
        this.timers.set(number, { at: this.time + Math.max(0, ms), order: number, call });
        return number;
      },
      clearTimeout: (number) => void this.timers.delete(number),
      openSocket: (url, protocols) => this.openSocket(protocols),
      fetch: (url, init) => this.fetch(url, init),
      on: (event, call) => {
        const listener = { event, call };
        this.listeners.push(listener);
        return () => void (this.listeners = this.listeners.filter((one) => one !== listener));
      },
    };
  }

  random() {
    return this.chance();
  }

  /** What the application gives in place of a fresh token, undefined where it gives one. */
  misbehaves() {
    if (this.tokenFaults === null || this.tokenFaults() < 0.6) return undefined;
    switch (Math.floor(this.tokenFaults() * 8)) {
      case 0:
        return "";
      case 1:
        throw new Error("signed out");
      case 2:
        return Promise.reject(new Error("503"));
      case 3:
        return new Promise(() => {});
      case 4:
        return { token: this.last };
      case 5:
        return "no token";
      case 6: {
        const [late, waitMs] = [this.last ?? "", 20_000 * this.tokenFaults()];
        return new Promise((done) => this.host().setTimeout(() => done(late), waitMs));
      }
      default:
        return this.last; // the old one once more, which may have ended or have other rights
    }
  }

  openSocket(protocols) {
    const number = ++this.numbers;
    const socket = {
      readyState: 0,
      onmessage: null,
      onclose: null,
      onopen: null,
      onerror: null,
      send: (text) => this.did.push({ send: number, text }),
      close: () => {
        if (socket.readyState >= 2) return;
        socket.readyState = 3;
        this.sockets.delete(number);
        this.did.push({ close: number });
      },
    };
    this.sockets.set(number, socket);
    this.did.push({ open: number, token: protocols[1].slice("bearer.".length) });
    return socket;
  }

  fetch(url, init) {
    const number = ++this.numbers;
    const { pathname } = new URL(url);
    const token = init.headers.authorization?.slice("Bearer ".length) ?? "";
    this.did.push({ fetch: number, method: init.method ?? "GET", path: pathname, token, body: init.body ?? "" });
    return new Promise((answer, fail) => {
      this.requests.set(number, { answer, fail });
      init.signal?.addEventListener("abort", () => {
        if (!this.requests.delete(number)) return;
        this.did.push({ abort: number });
        fail(new TypeError("aborted"));
      });
    });
  }

  /** What a message left its task's view with. */
  look({ type, data }) {
    if (typeof data?.taskId !== "string") return;
    const view = this.views.get(data.taskId);
    if (!view) return;
    const { state, events } = view;
    this.did.push({ shows: data.taskId, state, events: [...events], partial: type === "task:state" && data.more });
  }

  /** @param {any} what */
  do(what) {
    switch (what.do) {
      case "rights":
        this.rights = what.rights;
        break;
      case "join":
        this.views.set(what.task, this.relay.joinTask(what.task));
        break;
      case "leave":
        this.views.delete(what.task);
        this.relay.leaveTask(what.task);
        break;
      case "list":
        this.list = this.relay.joinDashboard();
        break;
      case "unlist":
        this.list = null;
        this.relay.leaveDashboard();
        break;
      case "opened":
        this.socket(what.socket, (socket) => void (socket.readyState = 1));
        break;
      case "text":
        this.socket(what.socket, (socket) => socket.onmessage?.({ data: what.text }));
        break;
      case "closed":
        this.socket(what.socket, (socket) => {
          socket.readyState = 3;
          this.sockets.delete(what.socket);
          socket.onclose?.({ code: what.code, reason: what.reason });
        });
        break;
      case "answered": {
        const request = this.requests.get(what.request);
        this.requests.delete(what.request);
        request?.answer({ status: what.status, text: async () => what.text });
        break;
      }
      case "failed": {
        const request = this.requests.get(what.request);
        this.requests.delete(what.request);
        request?.fail(new TypeError("the network is gone"));
        break;
      }
      case "happens":
        for (const { event, call } of [...this.listeners]) if (event === what.event) call();
        break;
      case "renew":
        this.relay.renew();
        break;
      case "calm":
        this.tokenFaults = null;
        break;
      case "time":
        break;
      case "look":
        this.did.push({ all: this.everything() });
        break;
      case "end":
        this.relay.close();
        break;
      default:
        throw new Error(what.do);
    }
  }

  socket(number, call) {
    const socket = this.sockets.get(number);
    if (socket) call(socket);
  }

  everything() {
    const tasks = {};
    for (const [name, { state, events, task }] of this.views) tasks[name] = { state, events, task };
    const list = this.list && { state: this.list.state, tasks: this.list.tasks };
    return { status: this.relay.status.state, tasks, list };
  }

  /** The next timer that is due by now, in order of its time. */
  due() {
    let first = null;
    for (const [number, timer] of this.timers) {
      if (timer.at > this.time + 1e-6) continue;
      if (!first || timer.at < first.timer.at || (timer.at === first.timer.at && timer.order < first.timer.order)) {
        first = { number, timer };
      }
    }
    if (first) this.timers.delete(first.number);
    return first?.timer;
  }

  nextAt() {
    let next = null;
    for (const { at } of this.timers.values()) if (next === null || at < next) next = at;
    return next;
  }
}

/** mulberry32 */
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Whatever waits for nothing but its turn has had it. */
const settled = () => new Promise((done) => setImmediate(done));

for await (const line of createInterface({ input: process.stdin })) {
  const { client: name, time, what } = JSON.parse(line);
  if (what.do === "begin") clients.set(name, new Client({ time, ...what }));
  const client = clients.get(name);
  client.time = time;
  try {
    for (const one of what.all ?? [what]) {
      if (one.do !== "begin") client.do(one);
      await settled();
    }
    for (let timer; (timer = client.due()); ) {
      timer.call();
      await settled();
    }
  } catch (error) {
    client.did.push({ died: String(error?.stack ?? error) });
  }
  const did = client.did;
  client.did = [];
  if (what.do === "end") clients.delete(name);
  process.stdout.write(`${JSON.stringify({ did, next: client.nextAt() })}\n`);
}

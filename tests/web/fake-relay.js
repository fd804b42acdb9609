// A fake relay, over a fake network that may block WebSockets or be away.

import { FakeHost, settled } from "./fake-host.js";

/** @typedef {import("./fake-host.js").FakeSocket} FakeSocket */
/** @typedef {import("./fake-host.js").FakeRequest} FakeRequest */

export class FakeRelay {
  blocked = false; // whether WebSockets are
  down = false;
  holdsPolls = false; // whether polls without news are never answered
  enabled = true;
  hidden = new Set(); // tasks that are not visible
  /** @type {(token: string | undefined, taskId: string) => boolean} whether the user of a token may see a task */
  maySee = () => true;
  bad = new Set(); // invalid ids
  maxTasks = Infinity; // of a connection, or of a poll
  /** @type {object | undefined} */
  limits; // of the welcome
  /** @type {object | undefined} */
  claims; // of the user, that tasks may wait for
  pageSize = Infinity; // events of a page
  /** @type {(request: {type: string, id: string, data: any}) => object | undefined} an error in place of an answer */
  refuse = () => undefined;
  polls = 0; // received
  authenticated = 1; // tokens
  /** @type {Map<string, unknown[]>} */
  tasks = new Map();
  world = new FakeHost();
  /** @type {{socket: FakeSocket, rooms: Set<string>, list: boolean}[]} */
  #peers = [];
  /** @type {FakeRequest[]} Polls that wait. */
  #waiting = [];

  /** @param {string[]} taskIds */
  constructor(...taskIds) {
    for (const taskId of taskIds) this.tasks.set(taskId, []);
    this.world.onSocket = (socket) => this.#greet(socket);
    this.world.onRequest = (request) => this.#serve(request);
  }

  get host() {
    return this.world.host;
  }

  /**
   * @param {string} taskId
   * @param {unknown} data
   */
  async append(taskId, data) {
    const events = this.tasks.get(taskId) ?? [];
    events.push(event(data));
    this.tasks.set(taskId, events);
    for (const { socket, rooms, list } of this.#peers) {
      const index = events.length - 1;
      if (rooms.has(taskId)) {
        socket.receive("task:event_added", { taskId, index, event: events[index], ...position(events) });
      }
      if (list && this.maySee(socket.token, taskId)) socket.receive("dashboard:task_list_updated", { change: "upserted", ...summary(taskId, events) });
    }
    this.answerWaiting();
    await settled();
  }

  /** @param {number} peer which of the sockets there are */
  rooms(peer) {
    return this.#peers[peer].rooms;
  }

  /** @param {number} peer which of the sockets there are */
  lists(peer) {
    return this.#peers[peer].list;
  }

  /** Breaks the open sockets and fails the open polls. */
  async cut() {
    for (const { socket } of this.#peers.splice(0)) socket.ends();
    for (const poll of this.#waiting.splice(0)) poll.fails();
    await settled();
  }

  answerWaiting() {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const poll of waiting) if (!poll.over) this.#poll(poll);
  }

  /** @param {FakeSocket} socket */
  #greet(socket) {
    if (this.down || this.blocked) return socket.ends();
    const peer = { socket, rooms: new Set(), list: false };
    this.#peers.push(peer);
    socket.onSent = (request) => {
      const { type, id, data } = request;
      const error = this.refuse(request) ?? (type === "task:join" && this.#refusal(data.tasks, peer.rooms));
      if (error) return socket.receive("error", error, id);
      switch (type) {
        case "dashboard:join":
          peer.list = true;
          return socket.receive("dashboard:state", this.#list(socket.token), id);
        case "dashboard:leave":
          peer.list = false;
          return socket.receive("dashboard:left", {}, id);
        case "task:join":
          for (const asked of data.tasks) {
            const { type: answer, data: state } = this.#state(asked, socket.token);
            if (answer === "task:state") peer.rooms.add(asked.taskId);
            socket.receive(answer, state, id);
          }
          break;
        case "task:leave":
          peer.rooms.delete(data.taskId);
          return socket.receive("task:left", data, id);
        case "auth":
          this.authenticated += 1;
          return socket.receive("auth:ok", { expiresAt: "", claims: this.claims }, id);
        case "ping":
          socket.receive("pong", { serverTime: "" }, id);
      }
    };
    socket.welcome(25_000, this.limits, this.claims);
    if (new URL(socket.url).pathname.endsWith("/dashboard")) {
      const error = this.refuse({ type: "dashboard:join", id: "", data: {} });
      peer.list = !error;
      socket.receive(error ? "error" : "dashboard:state", error ?? this.#list(socket.token));
    }
  }

  /** @param {FakeRequest} request */
  #serve(request) {
    if (this.down) return request.fails();
    if (request.path === "/config") return request.answers(200, { enabled: this.enabled });
    if (request.path === "/ws") return request.answers(426, "This address accepts only WebSockets.");
    this.polls += 1;
    const error = this.#refusal(request.body.tasks ?? [request.body.dashboard], new Set());
    if (error) request.answers(400, { type: "error", data: error });
    else this.#poll(request);
  }

  /** @param {FakeRequest} request */
  #poll(request) {
    const { dashboard, tasks = [] } = request.body;
    /** @type {any[]} */
    const messages = [];
    /** @type {any} */
    const etags = { tasks: {} };
    const list = JSON.stringify(this.#list(request.token));
    if (dashboard && dashboard.etag !== list) {
      messages.push({ type: "dashboard:state", data: this.#list(request.token) });
      etags.dashboard = { etag: list };
    }
    for (const asked of tasks) {
      const answer = this.#state(asked, request.token);
      const etag = JSON.stringify(answer.data.task);
      if (answer.type === "error" ? asked.forbidden : asked.etag === etag && !answer.data.events.length) continue;
      messages.push(answer);
      if (answer.type === "task:state") etags.tasks[asked.taskId] = { etag };
    }
    const more = messages.some(({ type, data }) => type === "task:state" && data.more) || undefined;
    if (messages.length) request.answers(200, { messages, ...etags, moment: "1.1", more, claims: this.claims });
    else this.#wait(request);
  }

  /** @param {FakeRequest} request */
  #wait(request) {
    this.#waiting.push(request);
    this.host.setTimeout(() => {
      this.#waiting = this.#waiting.filter((one) => one !== request);
      if (!request.over && !this.holdsPolls) request.answers(200, { messages: [], moment: "1.1" });
    }, 25_000);
  }

  /**
   * Why all of this is refused, if it is.
   * @param {{taskId: string}[]} tasks
   * @param {Set<string>} rooms those there are
   */
  #refusal(tasks, rooms) {
    const refused = (/** @type {string} */ code) => ({ code, message: "No.", temporary: false });
    if (tasks.length === 0 || tasks.length > 100) return refused("bad_request");
    if (tasks.some(({ taskId }) => this.bad.has(taskId))) return refused("bad_request");
    return new Set([...tasks.map(({ taskId }) => taskId), ...rooms]).size > this.maxTasks ? refused("too_many_tasks") : undefined;
  }

  /** @param {string | undefined} token */
  #list(token) {
    const tasks = [...this.tasks].filter(([taskId]) => !this.hidden.has(taskId) && this.maySee(token, taskId));
    return { tasks: tasks.map(([taskId, events]) => summary(taskId, events)), reset: true, more: false };
  }

  /**
   * @param {{taskId: string, since?: number, head?: string}} asked
   * @param {string | undefined} token
   * @returns {{type: string, data: any}}
   */
  #state({ taskId, since, head }, token) {
    const events = this.tasks.get(taskId);
    if (!events || this.hidden.has(taskId) || !this.maySee(token, taskId)) {
      return { type: "error", data: { code: "forbidden", message: "No.", temporary: false, taskId } };
    }
    const resumes = since !== undefined && head === position(events.slice(0, since)).head;
    const from = resumes ? since : 0;
    const held = events.slice(0, from + this.pageSize);
    const more = held.length < events.length;
    const data = { taskId, task: summary(taskId, events), events: held.slice(from), from, reset: !resumes, more };
    return { type: "task:state", data: { ...data, ...position(held) } };
  }
}

/** @param {unknown} data */
export function event(data) {
  return { type: "log", at: null, data };
}

/** @param {unknown[]} events */
function position(events) {
  return { next: events.length, head: JSON.stringify(events) };
}

/**
 * @param {string} taskId
 * @param {unknown[]} events
 */
function summary(taskId, events) {
  return { taskId, eventCount: events.length };
}

// Runs the scenarios against a real relay. What writers and operators do is asked of the parent process: a line of JSON
// on standard output, answered by a line on standard input. The last line is {"done": {name: null | error}}.

import { createInterface } from "node:readline";
import { connect } from "../../../relay/web/client/index.js";
import { Driver, scenarios } from "./scenarios.js";

const SOON_MS = 30_000; // a limit for what takes milliseconds, on a busy machine
const [url, urlOfRelayThatIsOff] = process.argv.slice(2);
const waiting = []; // for the answers, which come in the order of the requests
createInterface({ input: process.stdin }).on("line", (line) => waiting.shift()(JSON.parse(line)));

/** Asks the parent to do something. @param {object} request */
function ask(request) {
  process.stdout.write(`${JSON.stringify(request)}\n`);
  return new Promise((done) => waiting.push(done));
}

class RealDriver extends Driver {
  #user;
  /** @type {string | null} */
  #token;
  #tokens;
  #isOnline = true;
  #isOff = false;
  #relays = [];
  #sockets = new Set();
  #listeners = { online: new Set(), offline: new Set() };
  #host = {
    openSocket: (address, protocols) => this.#open(address, protocols),
    fetch: (...asked) => (this.#isOnline ? fetch(...asked) : Promise.reject(new TypeError("the network is gone"))),
    on: (event, call) => {
      this.#listeners[event]?.add(call);
      return () => this.#listeners[event]?.delete(call);
    },
  };

  constructor(user, tokens) {
    super();
    this.#user = user;
    this.#tokens = tokens;
    this.#token = tokens.good;
    this.relay = this.connect();
  }

  connect() {
    const relay = connect({ url, token: () => this.#token, host: this.#host });
    this.#relays.push(relay);
    return relay;
  }

  add = ({ taskId, ...task }) => this.#write("add", taskId, { ...task, members: [this.#user] });
  push = (taskId, event, fields = {}) => this.#write("push", taskId, fields, event);
  set = (taskId, fields) => this.#write("set", taskId, fields);
  remove = (taskId) => this.#write("remove", taskId);
  revoke = (taskId) => this.#write("set", taskId, { members: [] });
  grant = (taskId) => this.#write("set", taskId, { members: [this.#user] });

  offline() {
    this.#isOnline = false;
    for (const call of this.#listeners.offline) call();
    this.#cut();
  }

  online() {
    this.#isOnline = true;
    for (const call of this.#listeners.online) call();
  }

  signOut() {
    this.#comeBackWith(null);
  }

  signIn() {
    this.#token = this.#tokens.good;
    this.relay.renew();
  }

  refuseTokens() {
    this.#comeBackWith(this.#tokens.bad);
  }

  switchOff() {
    this.#isOff = true;
    this.#comeBackWith(this.#token);
  }

  async until(condition) {
    const deadline = Date.now() + SOON_MS;
    while (!condition()) {
      if (Date.now() > deadline) throw new Error(`it did not happen within ${SOON_MS} ms: ${condition}`);
      await new Promise((done) => setTimeout(done, 2));
    }
  }

  close() {
    for (const relay of this.#relays) relay.close();
  }

  #write(action, taskId, fields = {}, event) {
    const unset = Object.keys(fields).filter((name) => fields[name] === undefined);
    return ask({ action, taskId, fields, unset, event });
  }

  #comeBackWith(token) {
    this.#token = token;
    this.#cut();
    this.relay.retry();
  }

  #cut() {
    for (const socket of this.#sockets) {
      socket.onclose?.({ code: 1006, reason: "" });
      socket.close();
    }
    this.#sockets.clear();
  }

  #open(address, protocols) {
    const off = new URL(urlOfRelayThatIsOff).host;
    const there = new URL(address);
    if (this.#isOff) there.host = off;
    const socket = new WebSocket(there, protocols);
    this.#sockets.add(socket);
    if (!this.#isOnline) queueMicrotask(() => this.#cut());
    return socket;
  }
}

const results = {};
await Promise.all(Object.entries(scenarios).map(async ([name, scenario]) => {
  const user = `user of: ${name}`;
  const driver = new RealDriver(user, await ask({ action: "tokens", user }));
  results[name] = await scenario(driver).then(() => null, (error) => error.stack);
  driver.close();
}));
process.stdout.write(`${JSON.stringify({ done: results })}\n`);
process.exit(0);

// A relay as a client meets it, over a fake network that may block WebSockets or be gone.

import { FakeHost, settled } from "./fake-host.js";

/** @typedef {import("./fake-host.js").FakeSocket} FakeSocket */
/** @typedef {import("./fake-host.js").FakeRequest} FakeRequest */

export class FakeRelay {
  blocked = false; // are WebSockets?
  down = false;
  deaf = false; // does it answer no poll without news?
  enabled = true;
  hidden = new Set(); // tasks that may not be seen
  heard = 0; // polls
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
        socket.says("task:event_added", { taskId, index, event: events[index], ...position(events) });
      }
      if (list) socket.says("dashboard:task_list_updated", { change: "upserted", ...summary(taskId, events) });
    }
    this.answerWaiting();
    await settled();
  }

  /** The sockets there are break, or the polls fail. */
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
    socket.onSent = ({ type, id, data }) => {
      switch (type) {
        case "dashboard:join":
          peer.list = true;
          return socket.says("dashboard:state", this.#list(), id);
        case "task:join":
          for (const asked of data.tasks) {
            const { type: answer, data: state } = this.#state(asked);
            if (answer === "task:state") peer.rooms.add(asked.taskId);
            socket.says(answer, state, id);
          }
          break;
        case "task:leave":
          peer.rooms.delete(data.taskId);
          break;
        case "ping":
          socket.says("pong", { serverTime: "" }, id);
      }
    };
    socket.welcome();
  }

  /** @param {FakeRequest} request */
  #serve(request) {
    if (this.down) return request.fails();
    if (request.path === "/config") return request.answers(200, { enabled: this.enabled });
    this.heard += 1;
    this.#poll(request);
  }

  /** @param {FakeRequest} request */
  #poll(request) {
    const { dashboard, tasks = [] } = request.body;
    /** @type {any[]} */
    const messages = [];
    /** @type {any} */
    const etags = { tasks: {} };
    const list = JSON.stringify(this.#list());
    if (dashboard && dashboard.etag !== list) {
      messages.push({ type: "dashboard:state", data: this.#list() });
      etags.dashboard = { etag: list };
    }
    for (const asked of tasks) {
      const answer = this.#state(asked);
      const etag = JSON.stringify(answer.data.task);
      if (answer.type === "error" ? asked.forbidden : asked.etag === etag && !answer.data.events.length) continue;
      messages.push(answer);
      if (answer.type === "task:state") etags.tasks[asked.taskId] = { etag };
    }
    if (messages.length) request.answers(200, { messages, ...etags, moment: "1.1" });
    else this.#wait(request);
  }

  /** @param {FakeRequest} request */
  #wait(request) {
    this.#waiting.push(request);
    this.host.setTimeout(() => {
      this.#waiting = this.#waiting.filter((one) => one !== request);
      if (!request.over && !this.deaf) request.answers(200, { messages: [], moment: "1.1" });
    }, 25_000);
  }

  #list() {
    const tasks = [...this.tasks].filter(([taskId]) => !this.hidden.has(taskId));
    return { tasks: tasks.map(([taskId, events]) => summary(taskId, events)), reset: true, more: false };
  }

  /**
   * @param {{taskId: string, since?: number, head?: string}} asked
   * @returns {{type: string, data: any}}
   */
  #state({ taskId, since, head }) {
    const events = this.tasks.get(taskId);
    if (!events || this.hidden.has(taskId)) {
      return { type: "error", data: { code: "forbidden", message: "No.", temporary: false, taskId } };
    }
    const resumes = since !== undefined && head === position(events.slice(0, since)).head;
    const from = resumes ? since : 0;
    const data = { taskId, task: summary(taskId, events), events: events.slice(from), from, reset: !resumes, more: false };
    return { type: "task:state", data: { ...data, ...position(events) } };
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

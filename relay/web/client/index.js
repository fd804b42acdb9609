// @ts-check
// The browser client of the relay: live task lists and timelines over one connection.
//
//   const relay = connect({ url: "/ws", token: () => session.freshToken() });
//   const list = relay.joinDashboard();
//   list.onChange(() => show(list.tasks));
//
// What is joined stays joined: after a reconnect it continues where it was.

import { Connection } from "./connection.js";
import { Listeners } from "./listeners.js";
import { Rooms } from "./rooms.js";

/** @typedef {import("./connection.js").State} State */
/** @typedef {import("./connection.js").Status} Status */
/** @typedef {import("./listeners.js").Unsubscribe} Unsubscribe */
/** @typedef {import("./protocol.js").Event} Event */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./protocol.js").TaskSummary} TaskSummary */
/** @typedef {import("./task-list.js").TaskList} TaskList */
/** @typedef {import("./timeline.js").Timeline} Timeline */

/**
 * @param {object} options
 * @param {string | URL} options.url of the endpoint `/ws`; relative to the page, http or ws
 * @param {() => string | Promise<string>} options.token
 *   a token for each connection; asked again when the relay wants a fresh one
 */
export function connect({ url, token }) {
  return new Relay(url, token);
}

export class Relay {
  #connection;
  #rooms;
  /** @type {Listeners<ServerMessage>} */
  #messageListeners = new Listeners();

  /**
   * @param {string | URL} url
   * @param {() => string | Promise<string>} token
   */
  constructor(url, token) {
    this.#rooms = new Rooms((type, data) => this.#connection.send(type, data));
    this.#connection = new Connection({
      url: endpoint(url),
      token,
      onMessage: (message) => {
        if (message.type === "welcome") this.#rooms.joinAll();
        else this.#rooms.receive(message);
        this.#messageListeners.tell(message);
      },
    });
  }

  /** How things are now. */
  get status() {
    return this.#connection.status;
  }

  /**
   * @param {(status: Status) => void} listener
   * @returns {Unsubscribe}
   */
  onStatus(listener) {
    return this.#connection.statusListeners.add(listener);
  }

  /**
   * Every message, after lists and timelines have taken it in: for toasts and animations.
   * @param {(message: ServerMessage) => void} listener
   * @returns {Unsubscribe}
   */
  onMessage(listener) {
    return this.#messageListeners.add(listener);
  }

  /**
   * The list of all visible tasks. Everyone who joins shares it; it ends when left as often. The
   * first one's limit counts.
   * @param {{limit?: number}} [options] how many of the newest tasks a state brings
   * @returns {TaskList}
   */
  joinDashboard({ limit } = {}) {
    return this.#rooms.joinDashboard(limit);
  }

  leaveDashboard() {
    this.#rooms.leaveDashboard();
  }

  /**
   * One task with its events. Everyone who joins shares it; it ends when left as often.
   * @param {string} taskId
   * @returns {Timeline}
   */
  joinTask(taskId) {
    return this.#rooms.joinTask(taskId);
  }

  /** @param {string} taskId */
  leaveTask(taskId) {
    this.#rooms.leaveTask(taskId);
  }

  /** Connects at once instead of waiting, after a refusal too. */
  retry() {
    this.#connection.retry();
  }

  /** Ends it for good. */
  close() {
    this.#connection.close();
  }
}

/** @param {string | URL} url */
function endpoint(url) {
  const absolute = new URL(url, location.href);
  absolute.protocol = absolute.protocol.replace("http", "ws");
  return absolute;
}

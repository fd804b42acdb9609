// @ts-check
// The browser client of the relay: live task lists and timelines over one connection.
//
//   const relay = connect({ url: "/ws", token: () => session.freshToken() });
//   const list = relay.joinDashboard();
//   list.onChange(() => show(list.tasks));
//
// What is joined stays joined: after a reconnect it continues where it was.

import { ConnectionStats } from "./connection-stats.js";
import { Connection } from "./connection.js";
import { browser } from "./host.js";
import { Listeners } from "./listeners.js";
import { Subscriptions } from "./subscriptions.js";
import { isSameUser } from "./token.js";

const SCHEMES = new Set(["http:", "https:", "ws:", "wss:"]);
const LOOPBACK = /^(localhost|.*\.localhost|127\.[0-9.]+|\[::1\])$/; // a secure page may speak to its own machine

/** @typedef {import("./connection.js").State} State */
/** @typedef {import("./connection.js").Status} Status */
/** @typedef {import("./host.js").Host} Host */
/** @typedef {import("./listeners.js").Unsubscribe} Unsubscribe */
/** @typedef {import("./messages.js").Event} Event */
/** @typedef {import("./messages.js").ServerMessage} ServerMessage */
/** @typedef {import("./messages.js").TaskSummary} TaskSummary */
/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("./selection.js").SelectionChange} SelectionChange */
/** @typedef {import("./selection.js").SelectOptions} SelectOptions */
/** @typedef {import("./task-list.js").TaskList} TaskList */
/** @typedef {import("./timeline.js").Timeline} Timeline */

export { isSameUser } from "./token.js";

/**
 * @typedef {object} ConnectOptions
 * @property {string | URL} url of the endpoint `/ws`; relative to the page, http or ws. `/poll` and
 *   `/config`, for where WebSocket is blocked, lie beside it.
 * @property {import("./tokens.js").GetToken} token
 *   a token for each connection; asked again when the relay wants a fresh one, and with growing pauses
 *   where it gives none, throws, or has no answer within 15 s
 * @property {boolean} [measureDelay] ask for the relay's time with every heartbeat, so that `stats` know
 *   how long changes take
 * @property {Partial<Host>} [host] parts of the surroundings to replace, as in tests
 */

/**
 * Connects, and stays connected until `close()`.
 * @param {ConnectOptions} options
 */
export function connect(options) {
  return new Relay(options);
}

export class Relay {
  #connection;
  #subscriptions;
  /** Who speaks, how old the last word is, how long changes take. */
  stats;
  /** @type {Listeners<ServerMessage>} */
  #messageListeners = new Listeners();

  /**
   * @param {ConnectOptions} options
   * @param {import("./retries.js").Retries} [retries] those of the connection that this one takes the place of
   */
  constructor({ url, token, measureDelay = false, host: replaced }, retries) {
    const host = { ...browser, ...replaced };
    const send = (/** @type {string} */ type, /** @type {object} */ data) => this.#connection.send(type, data);
    this.#subscriptions = new Subscriptions(send, host);
    this.stats = new ConnectionStats(measureDelay ? send : () => undefined, host.now);
    this.#connection = new Connection({
      endpoints: endpoints(url),
      token,
      host,
      onOpen: () => this.#subscriptions.joinAll(),
      onMessage: (message) => {
        this.#subscriptions.receive(message);
        this.stats.take(message);
        if (!this.#connection.isClosed) this.#messageListeners.tell(message);
      },
      retries,
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
    return this.#subscriptions.joinDashboard(limit);
  }

  leaveDashboard() {
    this.#subscriptions.leaveDashboard();
  }

  /**
   * One task with its events. Everyone who joins shares it; it ends when left as often.
   * @param {string} taskId
   * @returns {Timeline}
   */
  joinTask(taskId) {
    return this.#subscriptions.joinTask(taskId);
  }

  /** @param {string} taskId */
  leaveTask(taskId) {
    this.#subscriptions.leaveTask(taskId);
  }

  /** Connects at once instead of waiting, after a refusal too. */
  retry() {
    this.#connection.retry();
  }

  /**
   * Says that the token function may give another token by now. Where one is waited for it is asked at
   * once, and where there is a connection what it gives is offered: for the same user only.
   */
  renew() {
    this.#connection.renew();
  }

  /**
   * Whether what is here may be another user's than this token's: the one that was brought names somebody
   * else, or it cannot be told whom one of the two names. Without a token it is nobody's.
   * @param {import("./tokens.js").MaybeToken} token
   */
  isOfAnother(token) {
    return this.#connection.token !== null && !isSameUser(this.#connection.token, token || null);
  }

  /** Closes the client forever. Nothing is sent afterwards, whatever method is called. */
  close() {
    this.#subscriptions.close();
    this.#connection.close();
  }
}

/**
 * What lies beside this address. A fragment never leaves the browser, and a WebSocket must have none.
 * Throws a TypeError for what is no address of a relay, without repeating it: it may hold a token.
 * @param {string | URL} url
 * @returns {import("./transports/open.js").Endpoints}
 */
function endpoints(url) {
  const http = addressOf(url);
  if (!SCHEMES.has(http.protocol)) throw new TypeError("The relay's address has to begin with http(s): or ws(s):");
  http.hash = "";
  http.protocol = http.protocol.replace("ws", "http");
  const socket = new URL(http);
  socket.protocol = http.protocol.replace("http", "ws");
  const isMixed = globalThis.location?.protocol === "https:" && http.protocol === "http:" && !LOOPBACK.test(http.hostname);
  return { socket, poll: new URL("poll", http), config: new URL("config", http), isMixed };
}

/** @param {string | URL} url */
function addressOf(url) {
  try {
    return new URL(url, globalThis.location?.href);
  } catch {
    // The original error quotes the address, and would show it in a log.
    throw new TypeError("The relay's address is no URL, or a relative one where there is no page");
  }
}

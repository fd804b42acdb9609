// @ts-check
// The browser client of the relay: live task lists and timelines over one connection.
//
//   const relay = connect({ url: "/ws", token: () => session.freshToken() });
//   const list = relay.joinDashboard();
//   list.onChange(() => show(list.tasks));
//
// Lists and tasks stay joined: after a reconnect they continue from where they were.

import { ConnectionStats } from "./connection-stats.js";
import { Connection } from "./connection.js";
import { given, Notes } from "./debug.js";
import { browser } from "./host.js";
import { Listeners, mustBeCallable } from "./listeners.js";
import { Subscriptions } from "./subscriptions.js";
import { isSameUser, subjectOf, timesOf } from "./token.js";

const SCHEMES = new Set(["http:", "https:", "ws:", "wss:"]);
const LOOPBACK = /^(localhost|.*\.localhost|127\.[0-9.]+|\[::1\])$/; // a secure page may connect to its own machine

/** @typedef {import("./application-types.js").ApplicationTypes} ApplicationTypes */
/** @typedef {import("./connection.js").State} State */
/** @typedef {import("./connection.js").Status} Status */
/** @typedef {import("./debug.js").DebugReport} DebugReport */
/** @typedef {import("./host.js").Host} Host */
/** @typedef {import("./listeners.js").Unsubscribe} Unsubscribe */
/** @typedef {import("./polls.js").ConfigAnswer} ConfigAnswer */
/** @typedef {import("./messages.js").AnyEvents} AnyEvents */
/** @typedef {import("./messages.js").ErrorCode} ErrorCode */
/** @typedef {import("./messages.js").MessageType} MessageType */
/** @typedef {import("./polls.js").LinkTemplates} LinkTemplates */
/** @typedef {import("./messages.js").TaskSummary} TaskSummary */
/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("./selection.js").SelectionChange} SelectionChange */
/** @typedef {import("./selection.js").SelectOptions} SelectOptions */
/** @typedef {import("./task-list.js").ListState} ListState */
/** @typedef {import("./task-list.js").TaskList} TaskList */
/** @typedef {import("./timeline.js").TimelineState} TimelineState */
/** @typedef {import("./transports/transport.js").Claims} Claims */
/**
 * @template {ApplicationTypes} T
 * @typedef {import("./application-types.js").EventsOf<T>} EventsOf
 */
/**
 * @template [E=AnyEvents]
 * @typedef {import("./messages.js").Event<E>} Event
 */
/**
 * @template {MessageType} K
 * @template [E=AnyEvents]
 * @typedef {import("./messages.js").MessageData<K, E>} MessageData
 */
/**
 * @template {MessageType} K
 * @template [E=AnyEvents]
 * @typedef {import("./messages.js").MessageOf<K, E>} MessageOf
 */
/**
 * @template [E=AnyEvents]
 * @typedef {import("./messages.js").ServerMessage<E>} ServerMessage
 */
/**
 * @template [E=AnyEvents]
 * @typedef {import("./messages.js").ServerMessages<E>} ServerMessages
 */
/**
 * @template [E=AnyEvents]
 * @typedef {import("./timeline.js").Timeline<E>} Timeline
 */

export { isSameUser } from "./token.js";

/**
 * @typedef {object} ConnectOptions
 * @property {string | URL} url the address of the endpoint `/ws`: http(s) or ws(s), or relative to the page. `/poll`
 *   and `/config`, which are used where WebSocket is blocked, lie beside it.
 * @property {import("./tokens.js").GetToken} token
 *   returns a token, or a promise of one. It is called for each connection, again before a token expires, and with
 *   growing pauses where it returns none, throws, or does not answer within 15 s.
 * @property {boolean} [measureDelay] ask for the relay's time with every heartbeat, so that `stats.delayMs` is known
 * @property {boolean} [joinEarly] join the list already with the request for the first WebSocket, which saves a round trip.
 *   A proxy then has to forward the address of `url` with `/dashboard` behind it, too.
 * @property {Partial<Host>} [host] parts of the environment to replace, as in tests
 */

/**
 * Connects to a relay, and stays connected until `close()`. In TypeScript, `connect<{ events: MyEvents }>(…)` types what
 * events hold: the data by the type of the event.
 *
 * Throws a TypeError if `url` is no address of a relay, or `token` no function.
 * @template {ApplicationTypes} [T=ApplicationTypes]
 * @param {ConnectOptions} options
 * @returns {Relay<T>}
 */
export function connect(options) {
  return new Relay(options);
}

/** @template {ApplicationTypes} [T=ApplicationTypes] */
export class Relay {
  /** @type {Connection} */
  #connection;
  /** @type {Subscriptions} */
  #subscriptions;
  /** The user, the age of the last message, the delay of changes. */
  stats;
  /** @type {Listeners<ServerMessage<EventsOf<T>>>} */
  #messageListeners = new Listeners();
  #notes = new Notes();
  #now;

  /**
   * @param {ConnectOptions} options
   * @param {import("./retries.js").Retries} [retries] of the connection that this one replaces, so that its backoff
   *   continues
   */
  constructor({ url, token, measureDelay = false, joinEarly = false, host: replaced }, retries) {
    if (typeof token !== "function") throw new TypeError("The option `token` is a function that returns a token.");
    const host = { ...browser, ...replaced };
    this.#now = host.now;
    const send = (/** @type {string} */ type, /** @type {object} */ data) => this.#connection.send(type, data);
    this.#subscriptions = new Subscriptions(send, host);
    this.stats = new ConnectionStats(measureDelay ? send : () => undefined, host.now);
    this.#connection = new Connection({
      endpoints: endpoints(url),
      token,
      host,
      early: joinEarly ? () => this.#subscriptions.wantedLimit : undefined,
      onOpen: (joined) => {
        this.stats.opened(subjectOf(this.#connection.token ?? ""));
        this.#subscriptions.joinAll(joined);
      },
      onMessage: (message, size) => {
        this.#notes.message(message, size, host.now());
        this.#subscriptions.receive(message);
        this.stats.take(message);
        if (!this.#connection.isClosed) this.#messageListeners.emit(/** @type {any} */ (message));
      },
      retries,
    });
    const note = (/** @type {Status} */ status) => this.#notes.status(status, this.#connection.endCode, host.now());
    note(this.#connection.status);
    this.#connection.statusListeners.add(note);
  }

  /**
   * What this user has of the claims that tasks wait for, as `{sub: ["alice"]}`: compare them with the `waitsFor` of a
   * task, as `sectionOf` of the view does. An empty object until it is known; the same object until it changes.
   */
  get me() {
    return this.#connection.claims;
  }

  /** The current status of the connection. */
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
   * Calls back for every message, after lists and timelines have applied it: for toasts and animations.
   * @param {(message: ServerMessage<EventsOf<T>>) => void} listener
   * @returns {Unsubscribe}
   */
  onMessage(listener) {
    return this.#messageListeners.add(listener);
  }

  /**
   * Calls back for every message of one type, as in `relay.on("task:failed", ({ taskId, error }) => …)`, after lists and
   * timelines have applied it. Messages are not repeated after a break: they are hints for toasts and sounds.
   * @template {MessageType} K
   * @param {K} type
   * @param {(data: MessageData<K, EventsOf<T>>, message: MessageOf<K, EventsOf<T>>) => void} listener
   * @returns {Unsubscribe}
   */
  on(type, listener) {
    mustBeCallable(listener);
    return this.#messageListeners.add((message) => {
      if (message.type !== type) return;
      const known = /** @type {MessageOf<K, EventsOf<T>>} */ (message);
      listener(known.data, known);
    });
  }

  /**
   * Joins the list of all visible tasks. Every call returns the same list, until `leaveDashboard` was called as often.
   * @param {{limit?: number | undefined}} [options] how many of the newest tasks a state contains; the first call decides
   * @returns {TaskList}
   */
  joinDashboard({ limit } = {}) {
    return this.#subscriptions.joinDashboard(limit);
  }

  leaveDashboard() {
    this.#subscriptions.leaveDashboard();
  }

  /**
   * Joins one task with its events. Every call returns the same timeline, until `leaveTask` was called as often.
   * @param {string} taskId
   * @returns {Timeline<EventsOf<T>>}
   */
  joinTask(taskId) {
    return /** @type {Timeline<any>} */ (this.#subscriptions.joinTask(taskId));
  }

  /** @param {string} taskId */
  leaveTask(taskId) {
    this.#subscriptions.leaveTask(taskId);
  }

  /** Connects now instead of waiting, also after a refusal. */
  retry() {
    this.#connection.retry();
  }

  /**
   * Says that the token function would now return another token. It is called at once if the connection waits for a
   * token or was refused; an open connection continues with the new token if it is for the same user.
   */
  renew() {
    this.#connection.renew();
  }

  /**
   * Whether the lists and timelines here may belong to another user than this token: the last token names another
   * user, or one of the two cannot be read. False before the first token.
   * @param {import("./tokens.js").MaybeToken} token
   */
  isOfAnother(token) {
    return this.#connection.token !== null && !isSameUser(this.#connection.token, token || null);
  }

  /**
   * How the connection is and how it came to be so, for a report of a fault: the status, the transport, the positions,
   * the last 50 messages and statuses, the delays and the times of the token. A plain object, and a copy. It has no
   * token, and nothing that a task holds.
   * @param {{payloads?: boolean | undefined}} [options] `payloads`: also what messages hold, of those that arrive after
   *   the first such call, and then of all until the client is closed
   * @returns {DebugReport}
   */
  debug({ payloads = false } = {}) {
    const { status: { state, reason, nextTryAt }, endCode, transport, token } = this.#connection;
    const { heardAt, reconnects, delaysMs } = this.stats;
    if (payloads) this.#notes.keepsPayloads = true;
    return {
      at: this.#now(),
      state,
      ...given({ why: reason, code: endCode, nextTryAt }),
      transport,
      token: token === null ? null : { length: token.length, ...timesOf(token) },
      reconnects: Math.max(0, reconnects),
      received: this.#notes.received,
      ...given({ heardAt: heardAt || undefined }),
      delaysMs,
      rooms: this.#subscriptions.rooms,
      statuses: this.#notes.statuses.map((status) => ({ ...status })),
      messages: this.#notes.messages(payloads),
    };
  }

  /** Closes the client for good. No method sends anything afterwards. */
  close() {
    this.#subscriptions.close();
    this.#connection.close();
  }
}

/**
 * The addresses of the endpoints. The fragment is removed, because a WebSocket must have none.
 *
 * Throws a TypeError if this is no address of a relay. The error does not repeat the address, which may hold a token.
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
  const isPageSecure = globalThis.location?.protocol === "https:";
  const isMixed = isPageSecure && http.protocol === "http:" && !LOOPBACK.test(http.hostname);
  return { socket, socketOverHttp: http, poll: new URL("poll", http), config: new URL("config", http), isMixed };
}

/** @param {string | URL} url */
function addressOf(url) {
  // In a page, the address of a variable that is not set would be one beside the page: `undefined`.
  if (url === undefined || url === null) throw new TypeError("The relay's address is missing: the option `url`.");
  try {
    return new URL(url, globalThis.location?.href);
  } catch {
    // Not the original error: it quotes the address, which would then appear in logs.
    throw new TypeError("The relay's address is no URL, or a relative one where there is no page");
  }
}

// @ts-check
// Keeps a conversation going: tokens, which transport, when to try again, and the state of things.
//
// Rules of this file: there is one transport, and only what it says counts; a WebSocket that is
// looked for while polling becomes it the moment the relay lets it in; what is joined is joined
// again on every opening, from where it was, so moving loses nothing.

import { backoff, returnDelay } from "./backoff.js";
import { Listeners } from "./listeners.js";
import { verdict } from "./protocol.js";
import { Moments } from "./transports/moments.js";
import { PollingTransport } from "./transports/polling.js";
import { ABNORMAL } from "./transports/transport.js";
import { WebSocketTransport } from "./transports/websocket.js";

/** @typedef {import("./host.js").Host} Host */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./transports/transport.js").Ending} Ending */
/** @typedef {import("./transports/transport.js").Transport} Transport */

/**
 * `connecting`: a try is under way. `live`: connected and current. `stale`: connected, but the
 * relay lost the database or is behind it. `polling`: current over long polling. `offline`: not
 * connected, the next try is at `nextTryAt`. `refused`: resting until `retry()`.
 * @typedef {"connecting" | "live" | "stale" | "polling" | "offline" | "refused"} State
 */

/**
 * `reason` is a short stable word: a close reason of PROTOCOL.md section 7, or our own `network`,
 * `silent`, `unreadable`, `no_token`, `bad_token`, `token_unavailable`. `nextTryAt` is in ms since
 * the epoch.
 * @typedef {{state: State, reason?: string, nextTryAt?: number}} Status
 */

/** @typedef {{socket: URL, poll: URL, config: URL}} Endpoints */

const HEALTHY_MS = 10_000; // a connection that lived this long makes the next failure a first one
const REFRESH_RETRY_MS = 2_000; // after a fresh token that the relay had no time for, where it names no time
const BLOCKED_AFTER = 2; // WebSockets in a row that ended early, and nobody said why: poll

export class Connection {
  /** @type {Status} */
  status = { state: "connecting" };
  /** @type {Listeners<Status>} */
  statusListeners = new Listeners();

  #endpoints;
  #getToken;
  #host;
  #onOpen;
  #onMessage;
  /** @type {Transport | null} */
  #transport = null;
  #attempt = 0; // what an earlier attempt still awaits is dropped
  #failures = 0;
  #blocked = 0; // signs in a row that a WebSocket cannot be had
  #moments = new Moments(); // of all polls: another conversation is not sent back in time either
  /** @type {number | null} */
  #openedAt = null;
  /** @type {string | null} */
  #currentToken = null;
  /** @type {{token: string, request: string | undefined} | null} */
  #offer = null; // a token that is ours once the relay says auth:ok
  /** @type {any} */
  #nextOffer;
  /** @type {string | null} */
  #refusedToken = null;
  /** @type {number | undefined} */
  #drainMs;
  #notBefore = 0; // ms since the epoch: a wait the relay asked for holds for all but retry()
  /** @type {any} */
  #nextTry;
  /** @type {Transport | null} The WebSocket that is looked for while polling. */
  #scout = null;
  #looks = 0;
  /** @type {any} */
  #nextLook;
  /** @type {(() => void)[]} */
  #unlisten;

  /**
   * @param {object} options
   * @param {Endpoints} options.endpoints
   * @param {() => string | Promise<string>} options.token
   * @param {Host} options.host
   * @param {() => void} options.onOpen before the first message of every opening
   * @param {(message: ServerMessage) => void} options.onMessage
   */
  constructor({ endpoints, token, host, onOpen, onMessage }) {
    this.#endpoints = endpoints;
    this.#getToken = token;
    this.#host = host;
    this.#onOpen = onOpen;
    this.#onMessage = onMessage;
    this.#unlisten = [
      host.on("online", () => this.#wake()),
      host.on("visible", () => this.#wake()),
      host.on("offline", () => this.#transport?.probe()),
    ];
    this.#try();
  }

  /**
   * @param {string} type
   * @param {object} data
   * @returns {string | undefined} the id of the request; undefined where no answer will come, as while not connected
   */
  send(type, data) {
    return this.#openedAt === null ? undefined : this.#transport?.send(type, data);
  }

  /** Tries at once, after a refusal too. */
  retry() {
    this.#refusedToken = null;
    if (this.#transport === null) this.#try();
    else if (this.#isPolling()) this.#look();
  }

  close() {
    for (const unlisten of this.#unlisten) unlisten();
    this.#attempt += 1;
    this.#host.clearTimeout(this.#nextTry);
    this.#dropTransport();
  }

  /** @param {string} [reason] why this is not the first try */
  async #try(reason = this.status.reason) {
    this.#host.clearTimeout(this.#nextTry);
    const attempt = ++this.#attempt;
    this.#become({ state: "connecting", reason });
    let token;
    try {
      token = await this.#getToken();
    } catch {
      if (attempt === this.#attempt) this.#tryLater("token_unavailable");
      return;
    }
    if (attempt !== this.#attempt) return;
    if (!token) return this.#rest("no_token");
    if (token === this.#refusedToken) return this.#rest(reason);
    this.#currentToken = token;
    this.#offer = null;
    try {
      this.#transport = this.#start(this.#blocked < BLOCKED_AFTER ? "websocket" : "polling", token);
    } catch {
      this.#rest("bad_token");
    }
  }

  /**
   * Throws where the token cannot be part of a request.
   * @param {Transport["name"]} name
   * @param {string} token
   * @returns {Transport}
   */
  #start(name, token) {
    const { socket, poll, config } = this.#endpoints;
    const options = {
      token,
      host: this.#host,
      onOpen: () => this.#opened(transport, token),
      onMessage: (/** @type {ServerMessage} */ message) => this.#receive(transport, message),
      onEnd: (/** @type {Ending} */ ending) => this.#ended(transport, ending),
    };
    /** @type {Transport} */
    const transport = name === "websocket"
      ? new WebSocketTransport({ ...options, url: socket })
      : new PollingTransport({ ...options, url: poll, configUrl: config, moments: this.#moments });
    return transport;
  }

  /**
   * @param {Transport} transport
   * @param {string} token
   */
  #opened(transport, token) {
    if (transport === this.#scout) {
      this.#scout = null;
      this.#dropTransport();
      this.#transport = transport;
      this.#currentToken = token;
      this.#blocked = 0;
    }
    this.#openedAt = this.#host.now();
    this.#refusedToken = null;
    this.#become({ state: this.#current() });
    if (this.#isPolling()) {
      this.#looks = 0;
      this.#lookLater();
    }
    this.#onOpen();
  }

  /**
   * @param {Transport} transport
   * @param {ServerMessage} message
   */
  #receive(transport, message) {
    if (transport !== this.#transport) return;
    switch (message.type) {
      case "stream:status":
        this.#become({ state: message.data.state === "stale" ? "stale" : this.#current() });
        break;
      case "auth:expiring":
        this.#refresh();
        break;
      case "auth:ok":
        this.#currentToken = this.#offer?.token ?? this.#currentToken;
        break;
      case "error":
        if (message.replyTo !== undefined && message.replyTo === this.#offer?.request) this.#offerAgain(message.data);
        break;
      case "server:draining":
        this.#drainMs = message.data.reconnectAfterMs;
        break;
    }
    this.#onMessage(message);
  }

  /** A fresh token before the old one ends, if there is one; otherwise the close will tell. */
  async #refresh() {
    const transport = this.#transport;
    try {
      const token = await this.#getToken();
      if (!token || token === this.#currentToken || transport !== this.#transport) return;
      this.#offer = { token, request: transport?.send("auth", { token }) };
    } catch {
      // The connection lives until the token it has ends; then the reconnect asks again.
    }
  }

  /** @param {import("./protocol.js").ErrorData} error that answered a fresh token */
  #offerAgain({ temporary, retryAfterMs = REFRESH_RETRY_MS }) {
    this.#offer = null;
    if (temporary) this.#nextOffer = this.#host.setTimeout(() => this.#refresh(), retryAfterMs);
  }

  /**
   * @param {Transport} transport
   * @param {Ending} ending
   */
  #ended(transport, ending) {
    if (transport === this.#scout) {
      this.#scout = null;
      this.#lookLater();
      return;
    }
    const healthy = this.#openedAt !== null && this.#host.now() - this.#openedAt >= HEALTHY_MS;
    this.#judge(transport, ending, healthy);
    const drainMs = this.#drainMs;
    this.#drainMs = undefined;
    this.#dropTransport();
    if (healthy) this.#failures = 0;

    const reason = ending.reason || (ending.code === ABNORMAL ? "network" : String(ending.code));
    const next = verdict(ending.code, ending.reason);
    switch (next.then) {
      case "give_up":
        return this.#rest(reason);
      case "refresh":
        this.#refusedToken = this.#currentToken;
        // The first time at once; a source whose fresh tokens are refused too is not hammered.
        if (this.#failures > 0) return this.#tryLater(reason);
        this.#failures = 1;
        return this.#try(reason);
      case "reconnect":
        return this.#tryLater(reason, ending.afterMs ?? next.afterMs ?? drainMs);
    }
  }

  /**
   * Can a WebSocket be had here? Who is told why it ended has had one.
   * @param {Transport} transport
   * @param {Ending} ending
   * @param {boolean} healthy
   */
  #judge({ name }, { code, reason }, healthy) {
    if (name === "polling") {
      // With neither a WebSocket nor an answer it is the network: then both are tried in turn.
      if (this.#openedAt === null && code === ABNORMAL) this.#blocked = BLOCKED_AFTER - 1;
    } else if (healthy || code !== ABNORMAL) {
      this.#blocked = 0;
    } else {
      // A handshake that is swallowed took its time: it is not waited for twice.
      const swallowed = this.#openedAt === null && reason === "silent";
      this.#blocked += swallowed ? BLOCKED_AFTER : 1;
    }
  }

  /** While polling: is there a WebSocket by now? */
  async #look() {
    this.#host.clearTimeout(this.#nextLook);
    if (this.#scout !== null) return;
    const transport = this.#transport;
    this.#looks += 1;
    try {
      const token = await this.#getToken();
      if (transport !== this.#transport || this.#scout !== null) return;
      if (token) this.#scout = this.#start("websocket", token);
      else this.#lookLater();
    } catch {
      if (transport === this.#transport) this.#lookLater();
    }
  }

  #lookLater() {
    this.#host.clearTimeout(this.#nextLook);
    this.#nextLook = this.#host.setTimeout(() => this.#look(), returnDelay(this.#looks, this.#host.random));
  }

  /**
   * @param {string} reason
   * @param {number} [afterMs] instead of the backoff, and not sooner
   */
  #tryLater(reason, afterMs) {
    this.#failures += 1;
    const waitMs = afterMs ?? backoff(this.#failures, this.#host.random);
    const nextTryAt = this.#host.now() + waitMs;
    this.#notBefore = afterMs === undefined ? 0 : nextTryAt;
    this.#become({ state: "offline", reason, nextTryAt });
    this.#nextTry = this.#host.setTimeout(() => this.#try(), waitMs);
  }

  /** @param {string | undefined} reason */
  #rest(reason) {
    this.#become({ state: "refused", reason });
  }

  /** The network or the page is back. */
  #wake() {
    if (this.status.state === "offline") {
      if (this.#host.now() >= this.#notBefore) this.#try();
      return;
    }
    this.#transport?.probe();
    if (this.#isPolling()) {
      this.#looks = 0;
      this.#look();
    }
  }

  #dropTransport() {
    this.#host.clearTimeout(this.#nextLook);
    this.#host.clearTimeout(this.#nextOffer);
    this.#scout?.close();
    this.#scout = null;
    this.#transport?.close();
    this.#transport = null;
    this.#openedAt = null;
  }

  #isPolling() {
    return this.#transport?.name === "polling" && this.#openedAt !== null;
  }

  /** What it is called while it is current. */
  #current() {
    return this.#transport?.name === "polling" ? "polling" : "live";
  }

  /** @param {Status} status */
  #become(status) {
    this.status = status;
    this.statusListeners.tell(status);
  }
}

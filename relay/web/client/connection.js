// @ts-check
// Keeps a conversation going: tokens, when to try again, and what the state of things is.

import { backoff } from "./backoff.js";
import { Listeners } from "./listeners.js";
import { verdict } from "./protocol.js";
import { Socket } from "./socket.js";

/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */

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

const HEALTHY_MS = 10_000; // a connection that lived this long makes the next failure a first one
const NO_CLOSE_FRAME = 1006;

export class Connection {
  /** @type {Status} */
  status = { state: "connecting" };
  /** @type {Listeners<Status>} */
  statusListeners = new Listeners();

  #url;
  #token;
  #onMessage;
  /** @type {Socket | null} */
  #socket = null;
  #attempt = 0; // what an earlier attempt still awaits is dropped
  #failures = 0;
  /** @type {number | null} */
  #welcomedAt = null;
  /** @type {string | null} */
  #currentToken = null;
  /** @type {string | null} */
  #offeredToken = null; // ours once the relay says auth:ok
  /** @type {string | null} */
  #refusedToken = null;
  /** @type {number | undefined} */
  #drainMs;
  #notBefore = 0; // ms since the epoch: a wait the relay asked for holds for all but retry()
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #nextTry;

  /**
   * @param {object} options
   * @param {URL} options.url
   * @param {() => string | Promise<string>} options.token
   * @param {(message: ServerMessage) => void} options.onMessage
   */
  constructor({ url, token, onMessage }) {
    this.#url = url;
    this.#token = token;
    this.#onMessage = onMessage;
    globalThis.addEventListener("online", this.#wake);
    globalThis.addEventListener("offline", this.#probe);
    document.addEventListener("visibilitychange", this.#look);
    this.#try();
  }

  /**
   * @param {string} type
   * @param {object} data
   * @returns {string | undefined} the id of the request; undefined while not connected
   */
  send(type, data) {
    return this.#welcomedAt === null ? undefined : this.#socket?.send(type, data);
  }

  /** Tries at once, after a refusal too. */
  retry() {
    this.#refusedToken = null;
    if (this.#socket === null) this.#try();
  }

  close() {
    globalThis.removeEventListener("online", this.#wake);
    globalThis.removeEventListener("offline", this.#probe);
    document.removeEventListener("visibilitychange", this.#look);
    clearTimeout(this.#nextTry);
    this.#attempt += 1;
    this.#socket?.close();
    this.#socket = null;
    this.#welcomedAt = null;
  }

  async #try() {
    clearTimeout(this.#nextTry);
    const attempt = ++this.#attempt;
    this.#become({ state: "connecting", reason: this.status.reason });
    let token;
    try {
      token = await this.#token();
    } catch {
      if (attempt === this.#attempt) this.#tryLater("token_unavailable");
      return;
    }
    if (attempt !== this.#attempt) return;
    if (!token) return this.#rest("no_token");
    if (token === this.#refusedToken) return this.#rest(this.status.reason);
    this.#currentToken = token;
    this.#offeredToken = null;
    try {
      this.#socket = new Socket({
        url: this.#url,
        token,
        onMessage: (message) => this.#receive(message),
        onEnd: ({ code, reason }) => this.#ended(code, reason),
      });
    } catch {
      this.#rest("bad_token");
    }
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    switch (message.type) {
      case "welcome":
        this.#welcomedAt = Date.now();
        this.#refusedToken = null;
        this.#become({ state: "live" });
        break;
      case "stream:status":
        this.#become({ state: message.data.state });
        break;
      case "auth:expiring":
        this.#refresh();
        break;
      case "auth:ok":
        this.#currentToken = this.#offeredToken ?? this.#currentToken;
        break;
      case "server:draining":
        this.#drainMs = message.data.reconnectAfterMs;
        break;
    }
    this.#onMessage(message);
  }

  /** A fresh token before the old one ends, if there is one; otherwise the close will tell. */
  async #refresh() {
    const socket = this.#socket;
    try {
      const token = await this.#token();
      if (!token || token === this.#currentToken || socket !== this.#socket) return;
      this.#offeredToken = token;
      socket?.send("auth", { token });
    } catch {
      // The connection lives until the token it has ends; then the reconnect asks again.
    }
  }

  /**
   * @param {number} code
   * @param {string} closeReason
   */
  #ended(code, closeReason) {
    const healthy = this.#welcomedAt !== null && Date.now() - this.#welcomedAt >= HEALTHY_MS;
    const drainMs = this.#drainMs;
    this.#socket = null;
    this.#welcomedAt = null;
    this.#drainMs = undefined;
    if (healthy) this.#failures = 0;

    const reason = closeReason || (code === NO_CLOSE_FRAME ? "network" : String(code));
    const next = verdict(code, closeReason);
    switch (next.then) {
      case "give_up":
        return this.#rest(reason);
      case "refresh":
        this.#refusedToken = this.#currentToken;
        // The first time at once; a source whose fresh tokens are refused too is not hammered.
        return this.#tryLater(reason, this.#failures === 0 ? 0 : undefined);
      case "reconnect":
        return this.#tryLater(reason, next.afterMs ?? drainMs);
    }
  }

  /**
   * @param {string} reason
   * @param {number} [afterMs] instead of the backoff, and not sooner
   */
  #tryLater(reason, afterMs) {
    this.#failures += 1;
    const waitMs = afterMs ?? backoff(this.#failures);
    const nextTryAt = Date.now() + waitMs;
    this.#notBefore = afterMs === undefined ? 0 : nextTryAt;
    this.#become({ state: "offline", reason, nextTryAt });
    this.#nextTry = setTimeout(() => this.#try(), waitMs);
  }

  /** @param {string | undefined} reason */
  #rest(reason) {
    this.#become({ state: "refused", reason });
  }

  #wake = () => {
    if (this.status.state !== "offline") this.#socket?.probe();
    else if (Date.now() >= this.#notBefore) this.#try();
  };

  #look = () => {
    if (document.visibilityState === "visible") this.#wake();
  };

  #probe = () => this.#socket?.probe();

  /** @param {Status} status */
  #become(status) {
    this.status = status;
    this.statusListeners.tell(status);
  }
}

// @ts-check
// Keeps a conversation going: tokens, which transport, when to try again, and the state of things.
//
// Rules of this file: there is one transport, and only what it says counts; a WebSocket that is
// looked for while polling becomes it the moment the relay lets it in; what is joined is joined
// again on every opening, from where it was, so moving loses nothing; it rests only where no token,
// no network and no setting could change the relay's mind.

import { backoff, patientBackoff, returnDelay } from "./backoff.js";
import { Blockage } from "./blockage.js";
import { Listeners } from "./listeners.js";
import { verdict } from "./protocol.js";
import { subjectOf } from "./token.js";
import { isWaitingForToken, Tokens } from "./tokens.js";
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
 * `silent`, `unreadable`; of the token function `no_token`, `bad_token`, `token_unavailable`; of the
 * page `origin_not_allowed`, `mixed_content`, and while polling `no_websocket`. `nextTryAt` is in ms
 * since the epoch.
 * @typedef {{state: State, reason?: string, nextTryAt?: number}} Status
 */

/**
 * `isMixed`: the page came by https and the relay's address is none, so the browser blocks all of it.
 * @typedef {{socket: URL, poll: URL, config: URL, isMixed: boolean}} Endpoints
 */

const HEALTHY_MS = 10_000; // a connection that lived this long makes the next failure a first one
const REFRESH_RETRY_MS = 2_000; // after a fresh token that the relay had no time for, where it names no time
const OFFER_AGAIN_MS = 5_000; // until the token function has a fresh one, while the old one lives
const PROOF_MS = 3_000; // HTTP gets through: so long a WebSocket may take before polls begin
// Reasons of which somebody has to mend something: hurry would only burden those who answer.
const PATIENT = new Set(["no_token", "bad_token", "token_expired", "unauthenticated", "origin_not_allowed", "mixed_content"]);

export class Connection {
  /** @type {Status} */
  status = { state: "connecting" };
  /** @type {Listeners<Status>} */
  statusListeners = new Listeners();

  #endpoints;
  #tokens;
  #host;
  #onOpen;
  #onMessage;
  /** @type {Transport | null} */
  #transport = null;
  #attempt = 0; // what an earlier attempt still awaits is dropped
  #failures = 0; // of connections in a row
  #vain = 0; // times in a row that the token function was asked in vain
  #blockage = new Blockage();
  #hasSockets = true; // until `new WebSocket` throws
  #moments = new Moments(); // of all polls: another conversation is not sent back in time either
  /** @type {number | null} */
  #openedAt = null;
  /** @type {string | null} */
  #currentToken = null;
  /** @type {{token: string, request: string | undefined} | null} */
  #offer = null; // a token that is ours once the relay says auth:ok
  /** @type {any} */
  #nextOffer;
  /** @type {{token: string | null, reason: string} | null} */
  #refused = null;
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
   * @param {import("./tokens.js").GetToken} options.token
   * @param {Host} options.host
   * @param {() => void} options.onOpen before the first message of every opening
   * @param {(message: ServerMessage) => void} options.onMessage
   */
  constructor({ endpoints, token, host, onOpen, onMessage }) {
    this.#endpoints = endpoints;
    this.#tokens = new Tokens(token, host);
    this.#host = host;
    this.#onOpen = onOpen;
    this.#onMessage = onMessage;
    this.#unlisten = [
      host.on("online", () => this.#wake()),
      host.on("visible", () => this.#wake()),
      host.on("offline", () => {
        this.#blockage.disturb();
        this.#transport?.probe();
      }),
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
    this.#refused = null;
    if (this.#transport === null) this.#try();
    else if (this.#isPolling()) this.#look();
  }

  /**
   * The token function may give another token by now: where one is waited for it is asked at once, and
   * where we are connected what it gives is offered, if it differs.
   */
  async renew() {
    if (this.#openedAt !== null) return this.#refresh();
    if (this.status.state === "connecting" && this.#transport === null) return this.#try();
    if (!isWaitingForToken(this.status)) return;
    const attempt = this.#attempt;
    const { token } = await this.#tokens.ask();
    if (attempt === this.#attempt && token !== undefined && token !== this.#refused?.token) this.#connect(token);
  }

  close() {
    for (const unlisten of this.#unlisten) unlisten();
    this.#attempt += 1;
    this.#host.clearTimeout(this.#nextTry);
    this.#tokens.close();
    this.#dropTransport();
  }

  /**
   * @param {string} [reason] why this is not the first try
   * @param {boolean} [isFirst] after a refusal: the token that was refused is not brought again at once
   */
  async #try(reason = this.status.reason, isFirst = false) {
    this.#host.clearTimeout(this.#nextTry);
    const attempt = ++this.#attempt;
    this.#become({ state: "connecting", reason });
    const { token, reason: missing } = await this.#tokens.ask();
    if (attempt !== this.#attempt) return;
    // The relay may learn to know a token, as when a secret is replaced here first; it ends only once.
    const isUseless = token === this.#refused?.token && (isFirst || this.#refused?.reason === "token_expired");
    if (token !== undefined && !isUseless) return this.#connect(token);
    this.#vain += 1;
    this.#wait(missing ?? this.#refused?.reason ?? "", this.#vain);
  }

  /** @param {string} token */
  #connect(token) {
    this.#host.clearTimeout(this.#nextTry);
    this.#attempt += 1;
    const { state, reason } = this.status;
    if (state !== "connecting") this.#become({ state: "connecting", reason });
    this.#currentToken = token;
    this.#offer = null;
    this.#vain = 0;
    this.#blockage.watch();
    if (!this.#blockage.isSuspected && (this.#transport = this.#startSocket(token))) return;
    this.#transport = this.#start("polling", token);
  }

  /**
   * @param {string} token
   * @returns {Transport | null} null where no WebSocket can be made, as in Node before 22 or a sandbox
   */
  #startSocket(token) {
    try {
      const transport = this.#start("websocket", token);
      this.#hasSockets = true;
      return transport;
    } catch {
      this.#hasSockets = false;
      this.#blockage.prove();
      return null;
    }
  }

  /**
   * Throws as `new WebSocket` does.
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
      this.#blockage.disprove();
    }
    if (transport.name === "polling" && !this.#blockage.isProven) return this.#tryOnceMore(token);
    this.#begin();
  }

  #begin() {
    this.#openedAt = this.#host.now();
    this.#refused = null;
    this.#become(this.#current());
    if (this.#isPolling()) {
      this.#looks = 0;
      this.#lookLater();
    }
    this.#onOpen();
  }

  /**
   * HTTP gets through. Perhaps it was only the network that was away, so a WebSocket is tried once more.
   * @param {string} token
   */
  #tryOnceMore(token) {
    this.#blockage.watch();
    this.#scout = this.#startSocket(token);
    if (this.#scout === null) return this.#begin();
    this.#nextLook = this.#host.setTimeout(() => this.#poll(), PROOF_MS);
  }

  #poll() {
    this.#host.clearTimeout(this.#nextLook);
    this.#blockage.prove();
    this.#begin();
  }

  /**
   * @param {Transport} transport
   * @param {ServerMessage} message
   */
  #receive(transport, message) {
    if (transport !== this.#transport) return;
    switch (message.type) {
      case "stream:status":
        this.#become(message.data.state === "stale" ? { state: "stale" } : this.#current());
        break;
      case "auth:expiring":
        this.#refresh(OFFER_AGAIN_MS);
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

  /**
   * A fresh token before the old one ends, if there is one; otherwise the close will tell.
   * @param {number} [againMs] when to ask again where there is none
   */
  async #refresh(againMs) {
    const transport = this.#transport;
    this.#host.clearTimeout(this.#nextOffer);
    const { token } = await this.#tokens.ask();
    if (transport === null || transport !== this.#transport) return;
    if (token !== undefined && token !== this.#currentToken) this.#offerToken(transport, token);
    else if (againMs !== undefined) {
      this.#host.clearTimeout(this.#nextOffer);
      this.#nextOffer = this.#host.setTimeout(() => this.#refresh(againMs), againMs);
    }
  }

  /**
   * @param {Transport} transport
   * @param {string} token
   */
  #offerToken(transport, token) {
    if (transport.name === "polling") {
      // Each poll is let in by itself, so it is here that a conversation stays with its user.
      if (subjectOf(token) !== subjectOf(this.#currentToken ?? "")) return;
      this.#currentToken = token;
    }
    this.#offer = { token, request: transport.send("auth", { token }) };
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
      if (this.#openedAt !== null) return this.#lookLater();
      if (ending.code === ABNORMAL && this.#blockage.isUndisturbed) return this.#poll();
      // There was a WebSocket, for who is told why it ended has had one; or the network went again.
      this.#transport?.close();
      this.#transport = transport;
    }
    const opened = this.#openedAt !== null;
    const healthy = this.#openedAt !== null && this.#host.now() - this.#openedAt >= HEALTHY_MS;
    if (transport.name === "polling") this.#blockage.pollingEnded(ending, opened);
    else this.#blockage.socketEnded(ending, { opened, healthy });
    const drainMs = this.#drainMs;
    this.#drainMs = undefined;
    this.#dropTransport();
    if (healthy) this.#failures = 0;

    const reason = this.#reasonOf(ending);
    const next = verdict(ending.code, ending.reason);
    switch (next.then) {
      case "give_up":
        return this.#rest(reason);
      case "refresh":
        this.#refused = { token: this.#currentToken, reason };
        // The first time at once; where fresh tokens are refused too, the relay is not hammered with them.
        if (this.#failures > 0) return this.#tryLater(reason);
        this.#failures = 1;
        return this.#try(reason, true);
      case "reconnect":
        return this.#tryLater(reason, ending.afterMs ?? next.afterMs ?? drainMs);
    }
  }

  /** @param {Ending} ending */
  #reasonOf({ code, reason }) {
    if (code !== ABNORMAL) return reason || String(code);
    // Of what a browser blocks it says no more than of a network that is away.
    if (this.#endpoints.isMixed && reason !== "unreadable") return "mixed_content";
    return reason || "network";
  }

  /** While polling: is there a WebSocket by now? */
  async #look() {
    this.#host.clearTimeout(this.#nextLook);
    if (this.#scout !== null) return;
    const transport = this.#transport;
    this.#looks += 1;
    const { token } = await this.#tokens.ask();
    if (transport !== this.#transport || this.#scout !== null) return;
    this.#scout = token === undefined ? null : this.#startSocket(token);
    if (this.#scout === null) this.#lookLater();
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
    this.#wait(reason, this.#failures, afterMs);
  }

  /**
   * @param {string} reason
   * @param {number} times in a row that it was in vain
   * @param {number} [afterMs] instead of the backoff, and not sooner
   */
  #wait(reason, times, afterMs) {
    const waitMs = afterMs ?? (PATIENT.has(reason) ? patientBackoff : backoff)(times, this.#host.random);
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

  /**
   * What it is called while it is current.
   * @returns {Status}
   */
  #current() {
    if (this.#transport?.name !== "polling") return { state: "live" };
    return this.#hasSockets ? { state: "polling" } : { state: "polling", reason: "no_websocket" };
  }

  /** @param {Status} status */
  #become(status) {
    this.status = status;
    this.statusListeners.tell(status);
  }
}

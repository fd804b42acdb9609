// @ts-check
// Keeps a conversation going: tokens, which transport, when to try again, and the state of things.
//
// Rules of this file: there is one transport, and only what it says counts; a WebSocket that is
// looked for while polling becomes it the moment the relay lets it in; what is joined is joined
// again on every opening, from where it was, so moving loses nothing; it rests only where the relay
// says not to come back; a listener may call any method of the client, so timers and state are set
// before listeners are called; after `close()` nothing happens.

import { Blockage } from "./blockage.js";
import { Listeners } from "./listeners.js";
import { Offers } from "./offers.js";
import { Probe } from "./probe.js";
import { verdict } from "./protocol.js";
import { Retries, waitMs } from "./retries.js";
import { isWaitingForToken, Tokens } from "./tokens.js";
import { TransportOpener } from "./transports/open.js";
import { ABNORMAL } from "./transports/transport.js";

/** @typedef {import("./host.js").Host} Host */
/** @typedef {import("./messages.js").ServerMessage} ServerMessage */
/** @typedef {import("./transports/transport.js").Ending} Ending */
/** @typedef {import("./transports/transport.js").Transport} Transport */

/**
 * `connecting`: a try is under way. `live`: connected and current. `stale`: connected, but the
 * relay lost the database or is behind it. `polling`: current over long polling. `offline`: not
 * connected, the next try is at `nextTryAt`. `refused`: resting until `retry()`, whatever token there is.
 * @typedef {"connecting" | "live" | "stale" | "polling" | "offline" | "refused"} State
 */

/**
 * `reason` is a short stable word: a close reason of PROTOCOL.md section 7, or our own `network`,
 * `silent`, `unreadable`; of the token function `no_token`, `bad_token`, `token_unavailable`; of the
 * page `origin_not_allowed`, `mixed_content`, and while polling `no_websocket`. `nextTryAt` is in ms
 * since the epoch.
 * @typedef {{state: State, reason?: string, nextTryAt?: number}} Status
 */

const HEALTHY_MS = 10_000; // a connection that lived this long makes the next failure a first one
// HTTP gets through: how long a WebSocket may take before polls begin. A handshake after an outage takes some
// seconds; where it is swallowed for good, this comes on top of the ten that the first one was waited for.
const PROOF_MS = 5_000;

export class Connection {
  /** @type {Status} */
  status = { state: "connecting" };
  /** @type {Listeners<Status>} */
  statusListeners = new Listeners();
  isClosed = false;

  #opener;
  #isMixed;
  #tokens;
  #offers;
  #retries;
  #host;
  #onOpen;
  #onMessage;
  /** @type {Transport | null} */
  #transport = null;
  #attempt = 0; // what an earlier attempt still awaits is dropped
  #questions = 0; // of this attempt to the token function, without an answer so far
  #isFirst = false; // after a refusal: the token that was refused is not brought again at once
  #blockage = new Blockage();
  /** @type {number | null} */
  #openedAt = null;
  /** @type {{token: string | null, reason: string} | null} */
  #refused = null;
  /** @type {number | undefined} */
  #drainMs;
  #notBefore = 0; // ms since the epoch: a wait the relay asked for holds for all but retry()
  /** @type {any} */
  #nextTry;
  #probe;
  /** @type {(() => void)[]} */
  #unlisten;

  /**
   * @param {object} options
   * @param {import("./transports/open.js").Endpoints} options.endpoints
   * @param {import("./tokens.js").GetToken} options.token
   * @param {Host} options.host
   * @param {() => void} options.onOpen before the first message of every opening
   * @param {(message: ServerMessage) => void} options.onMessage
   * @param {Retries} [options.retries] those of the connection that this one follows
   */
  constructor({ endpoints, token, host, onOpen, onMessage, retries = new Retries() }) {
    this.#isMixed = endpoints.isMixed;
    this.#opener = new TransportOpener(endpoints, host, {
      opened: (transport, openedWith) => this.#opened(transport, openedWith),
      received: (transport, message) => this.#receive(transport, message),
      ended: (transport, ending) => this.#ended(transport, ending),
    });
    this.#tokens = new Tokens(token, host);
    this.#offers = new Offers(this.#tokens, host);
    // The probe uses the token of the polls: what the token function returns now may be another user's.
    this.#probe = new Probe(() => this.#openSocket(this.#offers.token ?? ""), host);
    this.#retries = retries;
    this.#host = host;
    this.#onOpen = onOpen;
    this.#onMessage = onMessage;
    this.#unlisten = [
      host.on("online", () => this.#wake()),
      host.on("visible", () => this.#wake()),
      host.on("offline", () => {
        this.#blockage.disturb();
        this.#transport?.checkAlive();
      }),
    ];
    retries.follow();
    if (retries.mayHurry) this.#try();
    else this.#waitFor(/** @type {import("./retries.js").Pause} */ (retries.pause));
  }

  /** The token of this connection, or of the last try; null before there was one. */
  get token() {
    return this.#offers.token;
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
    if (this.isClosed) return;
    this.#refused = null;
    if (this.#transport === null) this.#resume();
    else if (this.#isPolling()) this.#probe.look();
  }

  /**
   * The token function may give another token by now: where one is waited for it is asked at once, and
   * where we are connected what it gives is offered, if it differs.
   */
  async renew() {
    if (this.isClosed) return;
    if (this.#openedAt !== null) return this.#offers.renew();
    if (this.#isAsking()) return this.#ask();
    if (!isWaitingForToken(this.status) || !this.#retries.mayHurry) return;
    const attempt = this.#attempt;
    const { token } = await this.#tokens.ask();
    if (attempt === this.#attempt && token !== undefined && token !== this.#refused?.token) this.#connect(token);
  }

  close() {
    this.isClosed = true;
    for (const unlisten of this.#unlisten) unlisten();
    this.#attempt += 1;
    this.#host.clearTimeout(this.#nextTry);
    this.#tokens.close();
    this.#dropTransport();
  }

  /**
   * @param {string} [reason] why this is not the first try
   * @param {boolean} [isFirst]
   */
  #try(reason = this.status.reason, isFirst = false) {
    this.#host.clearTimeout(this.#nextTry);
    const attempt = ++this.#attempt;
    this.#questions = 0;
    this.#isFirst = isFirst;
    if (this.status.state !== "connecting") this.#become({ state: "connecting", reason });
    if (attempt === this.#attempt) this.#ask();
  }

  /** Asks for a token to connect with; the first usable answer counts. */
  async #ask() {
    const attempt = this.#attempt;
    this.#questions += 1;
    const { token, reason: missing } = await this.#tokens.ask();
    if (attempt !== this.#attempt) return;
    this.#questions -= 1;
    // The relay may learn to know a token, as when a secret is replaced here first; it ends only once.
    const isUseless = token === this.#refused?.token && (this.#isFirst || this.#refused?.reason === "token_expired");
    if (token !== undefined && !isUseless) return this.#connect(token);
    if (this.#questions > 0) return;
    this.#retries.vain += 1;
    this.#wait(missing ?? this.#refused?.reason ?? "", this.#retries.vain);
  }

  /** @param {string} token */
  #connect(token) {
    this.#host.clearTimeout(this.#nextTry);
    const attempt = ++this.#attempt;
    const { state, reason } = this.status;
    if (state !== "connecting") this.#become({ state: "connecting", reason });
    if (attempt !== this.#attempt) return;
    this.#attempt += 1; // who was told may have asked once more
    this.#retries.bring();
    this.#offers.token = token;
    this.#blockage.watch();
    if (!this.#blockage.isSuspected && (this.#transport = this.#openSocket(token))) return;
    this.#transport = this.#opener.openPolling(token);
  }

  /**
   * @param {string} token
   * @returns {Transport | null} null where no WebSocket can be made: then polls need no further proof
   */
  #openSocket(token) {
    const transport = this.#opener.openSocket(token);
    if (transport === null) this.#blockage.prove();
    return transport;
  }

  /**
   * @param {Transport} transport
   * @param {string} token
   */
  #opened(transport, token) {
    if (transport === this.#probe.transport) {
      this.#probe.release();
      this.#dropTransport();
      this.#transport = transport;
      this.#offers.token = token;
      this.#blockage.disprove();
    }
    if (transport.name === "polling" && !this.#blockage.isProven) return this.#tryOnceMore();
    this.#begin();
  }

  #begin() {
    const transport = this.#transport;
    if (transport === null) return;
    this.#openedAt = this.#host.now();
    this.#refused = null;
    this.#retries.open();
    this.#offers.begin(transport);
    if (this.#isPolling()) {
      this.#probe.reset();
      this.#probe.lookLater();
    }
    this.#become(this.#current());
    if (transport === this.#transport) this.#onOpen();
  }

  /** HTTP gets through. Perhaps only the network was away, so a WebSocket is tried once more before polling. */
  #tryOnceMore() {
    this.#blockage.watch();
    if (!this.#probe.start()) return this.#begin();
    this.#probe.expireIn(PROOF_MS, () => this.#poll());
  }

  #poll() {
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
        this.#offers.expiring();
        break;
      case "auth:ok":
      case "error":
        this.#offers.receive(message);
        break;
      case "server:draining":
        this.#drainMs = message.data.reconnectAfterMs;
        break;
    }
    if (!this.isClosed) this.#onMessage(message);
  }

  /**
   * @param {Transport} transport
   * @param {Ending} ending
   */
  #ended(transport, ending) {
    if (transport === this.#probe.transport) {
      this.#probe.release();
      if (this.#openedAt !== null) return this.#probe.lookLater();
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
    if (healthy) this.#retries.recover();

    const reason = this.#reasonOf(ending);
    const next = verdict(ending.code, ending.reason);
    switch (next.then) {
      case "give_up":
        this.#retries.rest(reason, this.#host);
        return this.#become({ state: "refused", reason });
      case "refresh":
        this.#refused = { token: this.#offers.token, reason };
        // The first time at once; where fresh tokens are refused too, the relay is not hammered with them.
        if (this.#retries.failures > 0) return this.#tryLater(reason);
        this.#retries.failures = 1;
        return this.#try(reason, true);
      case "reconnect":
        return this.#tryLater(reason, ending.afterMs ?? next.afterMs ?? drainMs);
    }
  }

  /** @param {Ending} ending */
  #reasonOf({ code, reason }) {
    if (code !== ABNORMAL) return reason || String(code);
    // Of what a browser blocks it says no more than of a network that is away.
    if (this.#isMixed && reason !== "unreadable") return "mixed_content";
    return reason || "network";
  }

  /**
   * @param {string} reason
   * @param {number} [afterMs] instead of the backoff, and not sooner
   */
  #tryLater(reason, afterMs) {
    this.#retries.failures += 1;
    this.#wait(reason, this.#retries.failures, afterMs);
  }

  /**
   * @param {string} reason
   * @param {number} times in a row that it was in vain
   * @param {number} [afterMs] instead of the backoff, and not sooner
   */
  #wait(reason, times, afterMs) {
    const until = this.#host.now() + (afterMs ?? waitMs(reason, times, this.#host.random));
    this.#notBefore = afterMs === undefined ? 0 : until;
    this.#waitFor({ reason, until });
  }

  /** @param {import("./retries.js").Pause} pause */
  #waitFor(pause) {
    this.#retries.pause = pause;
    this.#nextTry = this.#host.setTimeout(() => this.#resume(), pause.until - this.#host.now());
    this.#become({ state: "offline", reason: pause.reason, nextTryAt: pause.until });
  }

  #resume() {
    this.#retries.resume();
    this.#try();
  }

  /** The network or the page is back. */
  #wake() {
    if (this.status.state === "offline") {
      if (this.#host.now() >= this.#notBefore) this.#resume();
      return;
    }
    if (this.#isAsking()) return this.#ask();
    this.#transport?.checkAlive();
    if (this.#isPolling()) {
      this.#probe.reset();
      this.#probe.look();
    }
  }

  #dropTransport() {
    this.#offers.end();
    this.#probe.stop();
    this.#transport?.close();
    this.#transport = null;
    this.#openedAt = null;
  }

  /** Whether it waits for the token function. */
  #isAsking() {
    return this.status.state === "connecting" && this.#transport === null;
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
    return this.#opener.hasSockets ? { state: "polling" } : { state: "polling", reason: "no_websocket" };
  }

  /** @param {Status} status */
  #become(status) {
    if (this.isClosed) return;
    this.status = status;
    this.statusListeners.tell(status);
  }
}

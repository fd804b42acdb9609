// @ts-check
// Keeps one connection to the relay: gets tokens, chooses the transport, decides when to try again.
//
// Rules of this file:
// - There is one current transport, and the reports of any other are ignored.
// - A WebSocket that is tried beside polling becomes the current transport as soon as the relay accepts it. Then
//   everything is joined again from its position, so changing the transport loses nothing.
// - The client stops trying only where a close code says not to come back.
// - A listener may call any method of the client. Therefore timers and state are set before listeners are called.
// - After `close()` nothing happens.

import { Blockage } from "./blockage.js";
import { Listeners } from "./listeners.js";
import { Offers } from "./offers.js";
import { Probe } from "./probe.js";
import { verdict } from "./protocol.js";
import { Retries, waitMs } from "./retries.js";
import { isEnded, isEnding, isWaitingForToken, Tokens } from "./tokens.js";
import { TransportOpener } from "./transports/open.js";
import { SocketAddress } from "./transports/socket-address.js";
import { ABNORMAL } from "./transports/transport.js";

/** @typedef {import("./host.js").Host} Host */
/** @typedef {import("./messages.js").ServerMessage} ServerMessage */
/** @typedef {import("./transports/transport.js").Claims} Claims */
/** @typedef {import("./transports/transport.js").Ending} Ending */
/** @typedef {import("./transports/transport.js").Transport} Transport */

/**
 * - `connecting`: an attempt is under way.
 * - `live`: connected and current.
 * - `stale`: connected, but the relay lost the database or is behind it.
 * - `polling`: current over long polling.
 * - `offline`: not connected; the next attempt is at `nextTryAt`.
 * - `refused`: the relay said not to come back. Only `retry()` makes another attempt.
 * @typedef {"connecting" | "live" | "stale" | "polling" | "offline" | "refused"} State
 */

/**
 * `reason` is a short stable word:
 * - a close reason of PROTOCOL.md section 7;
 * - from the network: `network`, `silent`, `unreadable`; `not_found` where something answers that is not the relay;
 * - from the token function: `no_token`, `bad_token`, `token_unavailable`;
 * - from the page: `origin_not_allowed`, `mixed_content`;
 * - while polling: `no_websocket` where none can be made, `not_found` where the relay is not at the address of the
 *   WebSocket, `blocked` where HTTP gets through to it and WebSocket does not.
 *
 * `nextTryAt` is in ms since the epoch.
 * @typedef {{state: State, reason?: string, nextTryAt?: number}} Status
 */

const HEALTHY_MS = 10_000; // after a connection that lived this long, the backoff starts again
const SERVED_MS = 3_000; // a token that ends after this time was no bad one: another one is asked for at once
// When HTTP gets through, a WebSocket has this long to open before polling starts. A handshake after an outage takes
// some seconds. Where a proxy swallows handshakes, this adds to the ten seconds the first one was given.
const PROOF_MS = 5_000;

// These hold for the WebSockets that are tried afterwards, too, until HTTP says something else or one opens.
const EXPLAINED_BY_HTTP = new Set(["not_found", "bad_token"]);

export class Connection {
  /** @type {Status} */
  status = { state: "connecting" };
  /** @type {Listeners<Status>} */
  statusListeners = new Listeners();
  isClosed = false;
  /** @type {number | undefined} The close code of the last connection, until another attempt is made. */
  endCode;
  /**
   * What the user has of the claims that tasks may wait for; an empty object until the relay has said so. The same
   * object until it changes.
   * @type {Claims}
   */
  claims = Object.freeze({});

  #opener;
  #isMixed;
  #socketAddress;
  #explanation = ""; // what HTTP said last of why nothing connects: a WebSocket that fails does not say why
  #tokens;
  #offers;
  #retries;
  #host;
  #early;
  /** @type {{transport: Transport, limit: number} | null} The WebSocket whose request joined the list of this limit. */
  #joined = null;
  #onOpen;
  #onMessage;
  /** @type {Transport | null} */
  #transport = null;
  #attempt = 0; // answers that an earlier attempt still awaits are ignored
  #questions = 0; // calls of the token function in this attempt that are not answered yet
  #isFirst = false; // the first attempt after a refusal: it does not send the refused token again
  #blockage = new Blockage();
  /** @type {number | null} */
  #openedAt = null;
  /** @type {{token: string | null, reason: string} | null} */
  #refused = null;
  /** @type {number | undefined} */
  #drainMs;
  #notBefore = 0; // ms since the epoch: the relay asked for this wait, and only retry() ignores it
  /** @type {any} */
  #nextTry;
  #isSuspended = false; // the browser has set the page aside, and the connection was closed
  #probe;
  /** @type {(() => void)[]} */
  #unlisten;

  /**
   * @param {object} options
   * @param {import("./transports/open.js").Endpoints} options.endpoints
   * @param {import("./tokens.js").GetToken} options.token
   * @param {Host} options.host
   * @param {() => number | undefined} [options.early] the limit of a list to join with the first WebSocket, if any
   * @param {(joined?: number) => void} options.onOpen called for every new connection, before its first message, with
   *   the limit of the list if its request has joined one
   * @param {(message: ServerMessage, size: number) => void} options.onMessage `size`: characters of its JSON
   * @param {Retries} [options.retries] of the connection that this one replaces, so that its backoff continues
   */
  constructor({ endpoints, token, host, early, onOpen, onMessage, retries = new Retries() }) {
    this.#isMixed = endpoints.isMixed;
    this.#socketAddress = new SocketAddress(endpoints.socketOverHttp, host);
    this.#opener = new TransportOpener(endpoints, host, {
      opened: (transport, openedWith) => this.#opened(transport, openedWith),
      claimed: (transport, claims) => this.#learn(transport, claims),
      received: (transport, message, size) => this.#receive(transport, message, size),
      ended: (transport, ending) => this.#ended(transport, ending),
    });
    this.#tokens = new Tokens(token, host);
    this.#offers = new Offers(this.#tokens, host);
    // The probe uses the token of the polls: what the token function returns now may be another user's.
    this.#probe = new Probe(() => this.#openSocket(this.#offers.token ?? ""), host);
    this.#retries = retries;
    this.#host = host;
    this.#early = early;
    this.#onOpen = onOpen;
    this.#onMessage = onMessage;
    this.#unlisten = [
      host.on("online", () => this.#wake()),
      host.on("visible", () => this.#wake()),
      host.on("suspended", () => this.#suspend()),
      host.on("resumed", () => this.#continue()),
      host.on("offline", () => {
        this.#blockage.networkLost();
        this.#transport?.checkAlive();
      }),
    ];
    retries.follow();
    if (retries.mayConnectNow) this.#try();
    else this.#waitFor(/** @type {import("./retries.js").Pause} */ (retries.pause));
  }

  /** The token of this connection or of the last attempt; null before the first one. */
  get token() {
    return this.#offers.token;
  }

  /** What messages come over; null while nothing is connected. */
  get transport() {
    return this.#openedAt === null ? null : (this.#transport?.name ?? null);
  }

  /**
   * @param {string} type
   * @param {object} data
   * @returns {string | undefined} the id of the request; undefined where no answer will follow, as while not connected
   */
  send(type, data) {
    return this.#openedAt === null ? undefined : this.#transport?.send(type, data);
  }

  /** Makes an attempt now, also after a refusal. */
  retry() {
    if (this.isClosed) return;
    this.#refused = null;
    if (this.#transport === null) this.#resume();
    else if (this.#isPolling()) this.#probe.look();
  }

  /**
   * Says that the token function may now return another token. It is called at once if the connection waits for a
   * token or was refused; while connected, a token that differs is offered to the relay.
   */
  async renew() {
    if (this.isClosed || this.#isSuspended) return;
    if (this.#openedAt !== null) return this.#offers.renew();
    if (this.#isAsking()) return this.#ask();
    const isRefused = this.status.state === "refused"; // no timer ends the pause then
    if (isRefused && this.#host.now() >= (this.#retries.pause?.until ?? 0)) this.#retries.resume();
    if (!(isRefused || isWaitingForToken(this.status)) || !this.#retries.mayConnectNow) return;
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
   * @param {string} [reason] why the last attempt ended; undefined for the first one
   * @param {boolean} [isFirst]
   */
  #try(reason = this.status.reason, isFirst = false) {
    this.#host.clearTimeout(this.#nextTry);
    this.#isSuspended = false;
    const attempt = ++this.#attempt;
    this.#questions = 0;
    this.#isFirst = isFirst;
    if (this.status.state !== "connecting") this.#become({ state: "connecting", reason });
    if (attempt === this.#attempt) this.#ask();
  }

  /** Calls the token function, and connects with its first usable answer. */
  async #ask() {
    const attempt = this.#attempt;
    this.endCode = undefined;
    this.#questions += 1;
    const { token, reason: missing } = await this.#tokens.ask();
    if (attempt !== this.#attempt) return;
    this.#questions -= 1;
    // A refused token may become valid later, as when the secret is replaced here before it is replaced at the relay.
    const isUseless = token === this.#refused?.token && (this.#isFirst || isEnding(this.#refused?.reason));
    if (token !== undefined && !isUseless) return this.#connect(token);
    if (this.#questions > 0) return;
    this.#retries.tokenFailures += 1;
    this.#wait(missing ?? this.#refused?.reason ?? "", this.#retries.tokenFailures);
  }

  /** @param {string} token */
  #connect(token) {
    this.#host.clearTimeout(this.#nextTry);
    const attempt = ++this.#attempt;
    const { state, reason } = this.status;
    if (state !== "connecting") this.#become({ state: "connecting", reason });
    if (attempt !== this.#attempt) return;
    this.#attempt += 1; // a status listener may have called the token function again: its answer is not needed
    this.#retries.useToken();
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
    const limit = this.#early?.();
    this.#early = undefined; // where a proxy does not forward that address, the next attempt has to get through
    const transport = this.#opener.openSocket(token, limit);
    if (transport === null) this.#blockage.confirm();
    else if (limit !== undefined) this.#joined = { transport, limit };
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
      this.#blockage.ruleOut();
    }
    if (transport.name === "polling" && !this.#blockage.isConfirmed) return this.#tryOnceMore();
    this.#begin();
  }

  #begin() {
    const transport = this.#transport;
    if (transport === null) return;
    this.#openedAt = this.#host.now();
    this.#refused = null;
    this.#explanation = "";
    this.#retries.open();
    this.#offers.begin(transport);
    if (this.#isPolling()) {
      this.#probe.reset();
      this.#probe.lookLater();
    }
    this.#become(this.#current());
    if (transport !== this.#transport) return;
    this.#onOpen(this.#joined?.transport === transport ? this.#joined.limit : undefined);
  }

  /** HTTP gets through. Only the network may have been away, so try a WebSocket once more before polling starts. */
  #tryOnceMore() {
    this.#blockage.watch();
    this.#socketAddress.look(() => {
      if (this.status.state === "polling") this.#become(this.#current());
    });
    if (!this.#probe.start()) return this.#begin();
    this.#probe.expireIn(PROOF_MS, () => this.#poll());
  }

  #poll() {
    this.#blockage.confirm();
    this.#begin();
  }

  /**
   * @param {Transport} transport
   * @param {Claims} claims
   */
  #learn(transport, claims) {
    if (transport !== this.#transport) return;
    if (JSON.stringify(claims) !== JSON.stringify(this.claims)) this.claims = claims;
  }

  /**
   * @param {Transport} transport
   * @param {ServerMessage} message
   * @param {number} size
   */
  #receive(transport, message, size) {
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
    if (!this.isClosed) this.#onMessage(message, size);
  }

  /**
   * @param {Transport} transport
   * @param {Ending} ending
   */
  #ended(transport, ending) {
    if (transport === this.#probe.transport) {
      this.#probe.release();
      if (this.#openedAt !== null) return this.#probe.lookLater();
      if (ending.code === ABNORMAL && this.#blockage.isObserved) return this.#poll();
      // Either the end was explained, so a WebSocket got through; or the network was lost again.
      this.#transport?.close();
      this.#transport = transport;
    }
    const opened = this.#openedAt !== null;
    const livedMs = this.#openedAt === null ? -1 : this.#host.now() - this.#openedAt;
    const healthy = livedMs >= HEALTHY_MS;
    if (transport.name === "polling") {
      this.#blockage.pollingEnded(ending, opened);
      this.#explanation = ending.code === ABNORMAL && EXPLAINED_BY_HTTP.has(ending.reason) ? ending.reason : "";
    } else this.#blockage.socketEnded(ending, { opened, healthy });
    const drainMs = this.#drainMs;
    this.#drainMs = undefined;
    this.endCode = ending.code;
    this.#dropTransport();
    if (healthy) this.#retries.recover();

    const reason = this.#reasonOf(ending);
    const next = verdict(ending.code, ending.reason);
    switch (next.then) {
      case "give_up":
        this.#refused = { token: this.#offers.token, reason };
        this.#retries.refuse(reason, this.#host);
        return this.#become({ state: "refused", reason });
      case "other_token":
        this.#refused = { token: this.#offers.token, reason };
        return this.#tryLater(reason);
      case "refresh":
        this.#refused = { token: this.#offers.token, reason };
        // The first time, try at once. Where fresh tokens are refused as well, wait longer to spare the relay.
        // A short token that served its time and ended is no failure, however often that happens.
        if (this.#retries.failures > 0 && !(isEnded(reason) && livedMs >= SERVED_MS)) return this.#tryLater(reason);
        this.#retries.failures = 1;
        return this.#try(reason, true);
      case "reconnect":
        return this.#tryLater(reason, ending.afterMs ?? next.afterMs ?? drainMs);
    }
  }

  /** @param {Ending} ending */
  #reasonOf({ code, reason }) {
    if (code !== ABNORMAL) return reason || String(code);
    // A browser reports a request that it blocked just like one without a network.
    if (this.#isMixed && (reason === "" || reason === "network" || reason === "silent")) return "mixed_content";
    return reason || this.#explanation || "network";
  }

  /**
   * @param {string} reason
   * @param {number} [afterMs] the wait that the relay named, in place of the backoff
   */
  #tryLater(reason, afterMs) {
    this.#retries.failures += 1;
    this.#wait(reason, this.#retries.failures, afterMs);
  }

  /**
   * @param {string} reason
   * @param {number} times failures in a row
   * @param {number} [afterMs] the wait that the relay named, in place of the backoff
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

  /**
   * Closes the connection while the browser sets the page aside: a page with an open connection is not kept for the way
   * back, and one that is frozen reads nothing, so that the relay would collect messages for it.
   */
  #suspend() {
    if (this.status.state === "offline" || this.status.state === "refused") return; // there is no connection
    this.#attempt += 1;
    this.#dropTransport();
    this.#isSuspended = true;
    this.#become({ state: "connecting" });
  }

  /** The page is there again: connects at once. */
  #continue() {
    if (this.#isSuspended) this.#resume();
  }

  /** The machine came online, or the page became visible. */
  #wake() {
    if (this.#isSuspended) return this.#continue();
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
    this.#socketAddress.stop();
    this.#probe.stop();
    this.#transport?.close();
    this.#transport = null;
    this.#openedAt = null;
  }

  /** Whether the token function is being asked. */
  #isAsking() {
    return this.status.state === "connecting" && this.#transport === null;
  }

  #isPolling() {
    return this.#transport?.name === "polling" && this.#openedAt !== null;
  }

  /**
   * The status of a connection that is current.
   * @returns {Status}
   */
  #current() {
    if (this.#transport?.name !== "polling") return { state: "live" };
    if (!this.#opener.hasSockets) return { state: "polling", reason: "no_websocket" };
    return { state: "polling", reason: this.#socketAddress.isWrong ? "not_found" : "blocked" };
  }

  /** @param {Status} status */
  #become(status) {
    if (this.isClosed) return;
    this.status = status;
    this.statusListeners.emit(status);
  }
}

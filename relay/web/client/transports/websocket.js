// @ts-check
// The transport over a WebSocket: handshake, messages, and the detection of a connection that has gone silent.

import { BEARER_PREFIX, SUBPROTOCOL } from "../protocol.js";
import { isOfferable } from "../tokens.js";
import { ABNORMAL, OPENING_TIMEOUT_MS } from "./transport.js";

/** @typedef {import("./transport.js").Ending} Ending */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportOptions} TransportOptions */

const ALIVE_TIMEOUT_MS = 5_000;
const SILENT_HEARTBEATS = 2.5; // PROTOCOL.md section 5
const OPEN = 1; // WebSocket.OPEN

/** @implements {Transport} */
export class WebSocketTransport {
  name = /** @type {const} */ ("websocket");

  #socket;
  #host;
  #onOpen;
  #onClaims;
  #onMessage;
  #onEnd;
  #over = false;
  #requests = 0;
  #heardAt;
  #maxSilenceMs = OPENING_TIMEOUT_MS;
  /** @type {any} */
  #watch;
  /** @type {Set<any>} */
  #timers = new Set();

  /**
   * Throws as `new WebSocket` does. Do not log that error: its text may contain the token.
   * @param {TransportOptions & {url: string | URL}} options
   */
  constructor({ url, token, host, onOpen, onClaims, onMessage, onEnd }) {
    this.#host = host;
    this.#onOpen = onOpen;
    this.#onClaims = onClaims;
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
    this.#heardAt = host.now();
    // A token that no subprotocol can have is sent in the first frame (PROTOCOL.md section 2).
    const isOffered = isOfferable(token);
    this.#socket = host.openSocket(url, isOffered ? [SUBPROTOCOL, BEARER_PREFIX + token] : [SUBPROTOCOL]);
    if (!isOffered) this.#socket.onopen = () => void this.send("auth", { token });
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = ({ code, reason }) => this.#end({ code, reason });
    // In a browser `close` follows `error` within the same turn. Node 20 sends no `close` after a failed handshake, so
    // end here if none came.
    this.#socket.onerror = () => this.#later(0, () => this.#end({ code: ABNORMAL, reason: "" }));
    this.#watchSilence();
  }

  /**
   * @param {string} type
   * @param {object} data
   */
  send(type, data) {
    const id = `c${++this.#requests}`;
    this.#socket.send(JSON.stringify({ type, id, data }));
    return id;
  }

  /** Sends a ping, and ends if nothing arrives within 5 s. */
  checkAlive() {
    if (this.#socket.readyState !== OPEN) return; // the handshake has a time limit of its own
    const askedAt = this.#host.now();
    this.send("ping", {});
    this.#later(ALIVE_TIMEOUT_MS, () => {
      if (this.#heardAt < askedAt) this.#end({ code: ABNORMAL, reason: "silent" });
    });
  }

  close() {
    this.#over = true;
    this.#release();
  }

  /** @param {unknown} frame */
  #receive(frame) {
    this.#heardAt = this.#host.now();
    const text = String(frame);
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      this.#end({ code: ABNORMAL, reason: "unreadable" }); // not the parse error: it quotes the content
      return;
    }
    if (message.type === "welcome") {
      this.#maxSilenceMs = SILENT_HEARTBEATS * message.data.heartbeatMs;
      this.#watchSilence();
      this.#onOpen();
    }
    if (message.type === "welcome") this.#onClaims(message.data.claims ?? { sub: [message.data.sub] });
    else if (message.type === "auth:ok" && message.data.claims) this.#onClaims(message.data.claims);
    this.#onMessage(message, text.length);
  }

  #watchSilence() {
    this.#host.clearTimeout(this.#watch);
    const quietMs = Math.max(0, this.#host.now() - this.#heardAt);
    if (quietMs >= this.#maxSilenceMs) this.#end({ code: ABNORMAL, reason: "silent" });
    else this.#watch = this.#host.setTimeout(() => this.#watchSilence(), this.#maxSilenceMs - quietMs);
  }

  /**
   * @param {number} ms
   * @param {() => void} call not called after `close()`
   */
  #later(ms, call) {
    const timer = this.#host.setTimeout(() => {
      this.#timers.delete(timer);
      call();
    }, ms);
    this.#timers.add(timer);
  }

  /** @param {Ending} ending */
  #end(ending) {
    if (this.#over) return;
    this.close();
    this.#onEnd(ending);
  }

  #release() {
    for (const timer of [this.#watch, ...this.#timers]) this.#host.clearTimeout(timer);
    this.#socket.onopen = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.onerror = null;
    this.#socket.close();
  }
}

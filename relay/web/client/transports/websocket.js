// @ts-check
// One WebSocket conversation, from the handshake to its end, silence included.

import { BEARER_PREFIX, SUBPROTOCOL } from "../protocol.js";
import { isHttpToken } from "../tokens.js";
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
   * Throws as `new WebSocket` does; the error's text might show the token.
   * @param {TransportOptions & {url: string | URL}} options
   */
  constructor({ url, token, host, onOpen, onMessage, onEnd }) {
    this.#host = host;
    this.#onOpen = onOpen;
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
    this.#heardAt = host.now();
    // What no subprotocol may be called goes into the first frame (PROTOCOL.md section 2).
    const isOffered = isHttpToken(token);
    this.#socket = host.openSocket(url, isOffered ? [SUBPROTOCOL, BEARER_PREFIX + token] : [SUBPROTOCOL]);
    if (!isOffered) this.#socket.onopen = () => void this.send("auth", { token });
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = ({ code, reason }) => this.#end({ code, reason });
    // In a browser a close follows within the same turn; Node 20 says no more where a handshake failed.
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

  /** Asks for a sign of life now. */
  checkAlive() {
    if (this.#socket.readyState !== OPEN) return; // the silence of a handshake is watched
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
    let message;
    try {
      message = JSON.parse(String(frame));
    } catch {
      this.#end({ code: ABNORMAL, reason: "unreadable" }); // a parse error would quote the content
      return;
    }
    if (message.type === "welcome") {
      this.#maxSilenceMs = SILENT_HEARTBEATS * message.data.heartbeatMs;
      this.#watchSilence();
      this.#onOpen();
    }
    this.#onMessage(message);
  }

  #watchSilence() {
    this.#host.clearTimeout(this.#watch);
    const quietMs = Math.max(0, this.#host.now() - this.#heardAt);
    if (quietMs >= this.#maxSilenceMs) this.#end({ code: ABNORMAL, reason: "silent" });
    else this.#watch = this.#host.setTimeout(() => this.#watchSilence(), this.#maxSilenceMs - quietMs);
  }

  /**
   * @param {number} ms
   * @param {() => void} call unless it has been closed by then
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

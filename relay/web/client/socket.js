// @ts-check
// One WebSocket conversation, from the handshake to its end, silence included.

import { BEARER_PREFIX, SUBPROTOCOL } from "./protocol.js";

/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {{code: number, reason: string}} Ending */

const WELCOME_TIMEOUT_MS = 10_000;
const PROBE_TIMEOUT_MS = 5_000;
const SILENT_HEARTBEATS = 2.5; // PROTOCOL.md section 5
const ABNORMAL = 1006;

export class Socket {
  #socket;
  #onMessage;
  #onEnd;
  #over = false;
  #requests = 0;
  #heardAt = Date.now();
  #maxSilenceMs = WELCOME_TIMEOUT_MS;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watch;

  /**
   * Throws when the token cannot be part of a handshake; the error's text would show the token.
   * @param {object} options
   * @param {string | URL} options.url
   * @param {string} options.token
   * @param {(message: ServerMessage) => void} options.onMessage
   * @param {(ending: Ending) => void} options.onEnd once, and nothing after it
   */
  constructor({ url, token, onMessage, onEnd }) {
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
    this.#socket = new WebSocket(url, [SUBPROTOCOL, BEARER_PREFIX + token]);
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = ({ code, reason }) => this.#end({ code, reason });
    this.#watchSilence();
  }

  /**
   * @param {string} type
   * @param {object} data
   * @returns {string} the id the answer will carry as `replyTo`
   */
  send(type, data) {
    const id = `c${++this.#requests}`;
    this.#socket.send(JSON.stringify({ type, id, data }));
    return id;
  }

  /** The network may have changed under us: ask for a sign of life now. */
  probe() {
    if (this.#socket.readyState !== WebSocket.OPEN) return; // the silence of a handshake is watched
    const askedAt = Date.now();
    this.send("ping", {});
    setTimeout(() => {
      if (this.#heardAt < askedAt) this.#end({ code: ABNORMAL, reason: "silent" });
    }, PROBE_TIMEOUT_MS);
  }

  close() {
    this.#over = true;
    this.#release();
  }

  /** @param {unknown} frame */
  #receive(frame) {
    this.#heardAt = Date.now();
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
    }
    this.#onMessage(message);
  }

  #watchSilence() {
    clearTimeout(this.#watch);
    const quietMs = Math.max(0, Date.now() - this.#heardAt);
    if (quietMs >= this.#maxSilenceMs) this.#end({ code: ABNORMAL, reason: "silent" });
    else this.#watch = setTimeout(() => this.#watchSilence(), this.#maxSilenceMs - quietMs);
  }

  /** @param {Ending} ending */
  #end(ending) {
    if (this.#over) return;
    this.#over = true;
    this.#release();
    this.#onEnd(ending);
  }

  #release() {
    clearTimeout(this.#watch);
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close();
  }
}

// @ts-check
// Is WebSocket blocked here, or is it the network that is away? Pure: it is told what happened.
//
// Rules of this file: who is told why a WebSocket ended has had one; a failure says nothing of WebSocket
// unless HTTP gets through at the same time, not even of those that open and break again and again.

import { ABNORMAL } from "./transports/transport.js";

/** @typedef {import("./transports/transport.js").Ending} Ending */

const BLOCKED_AFTER = 2; // WebSockets in a row that ended early, and nobody said why: ask by HTTP

export class Blockage {
  #signs = 0; // in a row, that a WebSocket cannot be had
  #isProven = false;
  #isUndisturbed = true;

  /** Whether HTTP is to be tried now. */
  get isSuspected() {
    return this.#signs >= BLOCKED_AFTER;
  }

  /** Whether a WebSocket was tried while HTTP got through. Until then one is, before anything is polled. */
  get isProven() {
    return this.#isProven;
  }

  /** Whether the machine has said of no loss of its network since `watch()`. */
  get isUndisturbed() {
    return this.#isUndisturbed;
  }

  /** From here on what fails counts, unless the machine loses its network meanwhile. */
  watch() {
    this.#isUndisturbed = true;
  }

  /** The machine has lost its network. */
  disturb() {
    this.#isUndisturbed = false;
  }

  /** No WebSocket gets through here, and HTTP does; or there is nothing to make a WebSocket of. */
  prove() {
    this.#signs = BLOCKED_AFTER;
    this.#isProven = true;
  }

  /** There is a WebSocket. */
  disprove() {
    this.#signs = 0;
    this.#isProven = false;
  }

  /**
   * @param {Ending} ending of a WebSocket
   * @param {{opened: boolean, healthy: boolean}} how far it had come
   */
  socketEnded({ code, reason }, { opened, healthy }) {
    if (healthy || code !== ABNORMAL) return this.disprove();
    if (!this.#isUndisturbed) return;
    // A handshake that is swallowed took its time: it is not waited for twice.
    this.#signs += !opened && reason === "silent" ? BLOCKED_AFTER : 1;
  }

  /**
   * @param {Ending} ending of long polling
   * @param {boolean} opened
   */
  pollingEnded({ code, reason }, opened) {
    if (code !== ABNORMAL) return;
    this.#isProven = false; // the network may be another one when it is back
    // With neither a WebSocket nor an answer it is the network: then both are tried in turn. Where the
    // relay does not know the page's origin, only HTTP can say so.
    if (!opened) this.#signs = reason === "origin_not_allowed" ? BLOCKED_AFTER : BLOCKED_AFTER - 1;
  }
}

// @ts-check
// Finds out whether WebSocket is blocked here or the network is away. Pure: the connection reports what happens.
//
// Rules of this file:
// - A WebSocket whose end was explained (any code but 1006) has got through, so WebSocket is not blocked.
// - A failure means nothing unless HTTP gets through at the same time. This holds also for WebSockets that open and
//   break again and again.

import { ABNORMAL } from "./transports/transport.js";

/** @typedef {import("./transports/transport.js").Ending} Ending */

const BLOCKED_AFTER = 2; // WebSockets in a row that ended early without an explanation: then HTTP is tried

export class Blockage {
  #signs = 0; // failures in a row that suggest a blocked WebSocket
  #isConfirmed = false;
  #isObserved = true;

  /** Whether to try HTTP now. */
  get isSuspected() {
    return this.#signs >= BLOCKED_AFTER;
  }

  /** Whether a WebSocket failed while HTTP got through. Before polling starts, this has to be confirmed. */
  get isConfirmed() {
    return this.#isConfirmed;
  }

  /** Whether failures count: the machine reported no loss of its network since `watch()`. */
  get isObserved() {
    return this.#isObserved;
  }

  /** Begins to observe: failures count from here on, unless the machine loses its network. */
  watch() {
    this.#isObserved = true;
  }

  /** The machine reported that it lost its network. */
  networkLost() {
    this.#isObserved = false;
  }

  /** HTTP gets through and WebSocket does not, or this environment has no WebSocket. */
  confirm() {
    this.#signs = BLOCKED_AFTER;
    this.#isConfirmed = true;
  }

  /** A WebSocket got through. */
  ruleOut() {
    this.#signs = 0;
    this.#isConfirmed = false;
  }

  /**
   * @param {Ending} ending of a WebSocket
   * @param {{opened: boolean, healthy: boolean}} progress `opened`: the relay accepted it
   */
  socketEnded({ code, reason }, { opened, healthy }) {
    if (healthy || code !== ABNORMAL) return this.ruleOut();
    if (!this.#isObserved) return;
    // A handshake that a proxy swallows takes ten seconds: one of them is enough to try HTTP.
    this.#signs += !opened && reason === "silent" ? BLOCKED_AFTER : 1;
  }

  /**
   * @param {Ending} ending of long polling
   * @param {boolean} opened
   */
  pollingEnded({ code, reason }, opened) {
    if (code !== ABNORMAL) return;
    this.#isConfirmed = false; // the machine may come back in another network
    // If polling did not open either, the network is away: try both in turn. But keep to HTTP where the relay does not
    // allow the page's origin, because only an HTTP response can say so.
    if (!opened) this.#signs = reason === "origin_not_allowed" ? BLOCKED_AFTER : BLOCKED_AFTER - 1;
  }
}

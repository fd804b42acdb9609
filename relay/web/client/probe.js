// @ts-check
// The WebSocket that is tried beside long polling, to return to it when the network lets one through.

import { returnDelay } from "./backoff.js";

/** @typedef {import("./transports/transport.js").Transport} Transport */

export class Probe {
  /** @type {Transport | null} The WebSocket under way. */
  transport = null;

  #open;
  #host;
  #tries = 0;
  /** @type {any} */
  #timer;

  /**
   * @param {() => Transport | null} open starts a WebSocket; null where none can be made
   * @param {import("./host.js").Host} host
   */
  constructor(open, host) {
    this.#open = open;
    this.#host = host;
  }

  /**
   * Tries a WebSocket now, unless one is under way.
   * @returns {boolean} false where none can be made
   */
  start() {
    this.#host.clearTimeout(this.#timer);
    this.transport ??= this.#open();
    return this.transport !== null;
  }

  /** Tries one now, and later again with growing pauses. */
  look() {
    if (this.transport !== null) return this.#host.clearTimeout(this.#timer);
    this.#tries += 1;
    if (!this.start()) this.lookLater();
  }

  /** Tries one after a pause that grows with every try. */
  lookLater() {
    this.#after(returnDelay(this.#tries, this.#host.random), () => this.look());
  }

  /** The next pause is the first one again. */
  reset() {
    this.#tries = 0;
  }

  /**
   * Bounds the time for the WebSocket under way.
   * @param {number} ms
   * @param {() => void} call unless the probe is stopped or looks again before
   */
  expireIn(ms, call) {
    this.#after(ms, call);
  }

  /** Gives the WebSocket away: it opened or ended, and is not closed here. */
  release() {
    this.transport = null;
  }

  /** Closes the WebSocket, and tries none any more. */
  stop() {
    this.#host.clearTimeout(this.#timer);
    this.transport?.close();
    this.transport = null;
  }

  /**
   * @param {number} ms
   * @param {() => void} call in place of what was to be called later
   */
  #after(ms, call) {
    this.#host.clearTimeout(this.#timer);
    this.#timer = this.#host.setTimeout(call, ms);
  }
}

// @ts-check
// Limits how fast requests are sent, with the token bucket of the relay (PROTOCOL.md section 4). Pure.
//
// The relay does not execute a request over the rate, and closes the connection after a hundred of them. Therefore the
// client counts as the relay does and waits. Where the relay counted more, its answer corrects this count.

import { DASHBOARD_LIMIT_MAX } from "./protocol.js";

// The relay counts reading this many as one request.
const TASKS_PER_REQUEST = 10;
const LISTED_PER_REQUEST = 500;
const ROUNDING_MS = 1e-6;
const BURST_S = 2; // a burst may use the requests of this many seconds
const DEFAULT_PER_SECOND = 20; // assumed when the relay refuses a request before it named its rate

export class Pace {
  #perSecond = Infinity;
  #level = Infinity;
  #at = 0;

  /** A new connection: the relay starts to count again, and has not named its rate yet. */
  begin() {
    this.#perSecond = this.#level = Infinity;
  }

  /**
   * @param {number} perSecond requests that the relay accepts
   * @param {number} now in ms
   */
  learn(perSecond, now) {
    if (!(perSecond > 0)) return;
    this.#perSecond = perSecond;
    this.#level = Math.min(this.#level, BURST_S * perSecond);
    this.#at = now;
  }

  /**
   * @param {number} now in ms
   * @returns {number} ms until the next request may be sent; 0 for now
   */
  waitMs(now) {
    this.#fill(now);
    return this.#level >= 1 ? 0 : Math.ceil(((1 - this.#level) / this.#perSecond) * 1000 - ROUNDING_MS);
  }

  /** @param {number} requests the cost of what was sent */
  spend(requests) {
    this.#level -= requests;
  }

  /**
   * The relay refused a request, and accepts the next one after this time.
   * @param {number} waitMs
   * @param {number} now in ms
   */
  refused(waitMs, now) {
    if (this.#perSecond === Infinity) this.#perSecond = DEFAULT_PER_SECOND;
    this.#at = now;
    this.#level = 1 - (waitMs / 1000) * this.#perSecond;
  }

  /** @param {number} now */
  #fill(now) {
    const passedS = Math.max(0, now - this.#at) / 1000; // the clock may be set back
    this.#at = now;
    if (this.#level === Infinity) return;
    this.#level = Math.min(BURST_S * this.#perSecond, this.#level + passedS * this.#perSecond);
  }
}

/**
 * The cost of a request, in requests.
 * @param {number} tasks how many it names
 */
export function costOfTasks(tasks) {
  return 1 + (tasks - 1) / TASKS_PER_REQUEST;
}

/**
 * The cost of joining a list, in requests. A limit that the relay does not allow costs one: nothing is read for it.
 * @param {number} [limit] of the list
 */
export function costOfList(limit = 0) {
  return limit <= DASHBOARD_LIMIT_MAX ? Math.max(1, limit / LISTED_PER_REQUEST) : 1;
}

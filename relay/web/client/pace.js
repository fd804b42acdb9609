// @ts-check
// How fast requests may leave: the relay's own count of them, kept on this side (PROTOCOL.md section 4). Pure.
//
// A request over the rate is not executed, and a hundred of them end the connection. So none is sent before
// its time; and where the relay counted more than we did, what it says is taken over.

import { DASHBOARD_LIMIT_MAX } from "./protocol.js";

// Reading this many costs as much as one request.
const TASKS_PER_REQUEST = 10;
const LISTED_PER_REQUEST = 500;
const ROUNDING_MS = 1e-6;
const BURST_S = 2; // a burst may hold what is allowed in this many seconds
const DEFAULT_PER_SECOND = 20; // where the relay refused one and has not said how many it takes

export class Pace {
  #perSecond = Infinity;
  #level = Infinity;
  #at = 0;

  /** Another connection: the relay counts from nothing, and has not said how many it takes. */
  begin() {
    this.#perSecond = this.#level = Infinity;
  }

  /**
   * @param {number} perSecond requests the relay takes
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
   * @returns {number} ms until the next request may leave, 0 for at once
   */
  waitMs(now) {
    this.#fill(now);
    return this.#level >= 1 ? 0 : Math.ceil(((1 - this.#level) / this.#perSecond) * 1000 - ROUNDING_MS);
  }

  /** @param {number} requests that what has been sent counts as */
  spend(requests) {
    this.#level -= requests;
  }

  /**
   * The relay refused a request, and takes the next one after this time.
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
    const passedS = Math.max(0, now - this.#at) / 1000; // a clock may be set back
    this.#at = now;
    if (this.#level < Infinity) this.#level = Math.min(BURST_S * this.#perSecond, this.#level + passedS * this.#perSecond);
  }
}

/** @param {number} tasks that one request names */
export function costOfTasks(tasks) {
  return 1 + (tasks - 1) / TASKS_PER_REQUEST;
}

/** @param {number} [limit] of a list; one that the relay does not allow costs nothing to read */
export function costOfList(limit = 0) {
  return limit <= DASHBOARD_LIMIT_MAX ? Math.max(1, limit / LISTED_PER_REQUEST) : 1;
}

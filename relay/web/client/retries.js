// @ts-check
// Counts failures in a row, and computes how long the next attempt waits. Pure.
//
// Rules of this file:
// - Where a person has to mend something first, attempts are slower.
// - Another token may be tried at once, but only once in each pause: a page may have another token for each refusal.

import { backoff, patientBackoff } from "./backoff.js";

// A person has to mend these first: quick attempts would only burden the relay and the token function.
const PATIENT = new Set([
  "no_token", "bad_token", "token_expired", "unauthenticated", "disconnected", "origin_not_allowed", "mixed_content",
]);

/** @typedef {{reason: string, until: number}} Pause the reason of a wait, and its end in ms since the epoch */

/**
 * How long to wait before the next attempt, in ms.
 * @param {string} reason
 * @param {number} times failures in a row, at least 1
 * @param {() => number} random in [0, 1)
 */
export function waitMs(reason, times, random) {
  return (PATIENT.has(reason) ? patientBackoff : backoff)(times, random);
}

/** The failures of one page. Connections that replace each other share it: another user resets no backoff. */
export class Retries {
  /** How many connections in a row failed. */
  failures = 0;
  /** How many times in a row the token function returned no usable token. */
  tokenFailures = 0;
  /** @type {Pause | null} The current wait. */
  pause = null;
  #usedEarlyTry = false; // of this pause
  #hasOpened = false; // a connection, with the last token that was used

  /** Another connection replaces the last one. Its failures continue to count, unless it was open. */
  follow() {
    if (this.#hasOpened && this.pause === null) this.failures = this.tokenFailures = 0;
  }

  /** Whether a connection may be tried now, before the pause is over. */
  get mayConnectNow() {
    return this.pause === null || !this.#usedEarlyTry;
  }

  /** A token is tried. During a pause this uses its one early attempt. */
  useToken() {
    this.tokenFailures = 0;
    this.#usedEarlyTry = this.pause !== null;
    this.#hasOpened = false;
  }

  /**
   * The relay said not to come back. A connection that replaces this one, as for another user, still has to wait.
   * @param {string} reason
   * @param {Pick<import("./host.js").Host, "now" | "random">} host
   */
  refuse(reason, { now, random }) {
    this.failures += 1;
    this.pause = { reason, until: now() + patientBackoff(this.failures, random) };
  }

  /** A connection opened. It may be refused again soon, so an early attempt that was used stays used. */
  open() {
    this.#hasOpened = true;
    this.pause = null;
  }

  /** A connection lived long enough: the next failure is the first one again. */
  recover() {
    this.failures = 0;
    this.#usedEarlyTry = false;
  }

  /** The pause is over, or the user does not want to wait. */
  resume() {
    this.pause = null;
    this.#usedEarlyTry = false;
  }
}

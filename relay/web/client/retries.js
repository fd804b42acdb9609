// @ts-check
// How often in a row it was in vain, and how long that makes the next try wait. Pure.
//
// Rules of this file: who has to mend something first is tried patiently; another token may be brought
// at once, but only once in a patient pause, because the page may have one more for each refusal.

import { backoff, patientBackoff } from "./backoff.js";

// Reasons of which somebody has to mend something: hurry would only burden those who answer.
const PATIENT = new Set(["no_token", "bad_token", "token_expired", "unauthenticated", "origin_not_allowed", "mixed_content"]);

/** @typedef {{reason: string, until: number}} Pause why it waits, and until when in ms since the epoch */

/**
 * How long to wait, in ms.
 * @param {string} reason
 * @param {number} times in a row that it was in vain
 * @param {() => number} random in [0, 1)
 */
export function waitMs(reason, times, random) {
  return (PATIENT.has(reason) ? patientBackoff : backoff)(times, random);
}

/** Connections that follow each other in a page may share one: another user's token is no reason to hurry either. */
export class Retries {
  /** How many connections in a row failed. */
  failures = 0;
  /** How many times in a row the token function was asked in vain. */
  vain = 0;
  /** @type {Pause | null} The wait that runs. */
  pause = null;
  #hasHurried = false;
  #hasOpened = false; // with the last token that was brought

  /** A connection follows another one. What failed counts on, unless that one was open. */
  follow() {
    if (this.#hasOpened && this.pause === null) this.failures = this.vain = 0;
  }

  /** Whether a token may be brought now, and not only when the pause is over. */
  get mayHurry() {
    return this.pause === null || !this.#hasHurried;
  }

  /** A token is brought. In a pause that was the one that need not wait. */
  bring() {
    this.vain = 0;
    this.#hasHurried = this.pause !== null;
    this.#hasOpened = false;
  }

  /**
   * The relay said not to come back. Who follows all the same, as another user does, keeps the pauses.
   * @param {string} reason
   * @param {Pick<import("./host.js").Host, "now" | "random">} host
   */
  rest(reason, { now, random }) {
    this.failures += 1;
    this.pause = { reason, until: now() + patientBackoff(this.failures, random) };
  }

  /** There is a connection. It may be refused again soon, so who has hurried has done so. */
  open() {
    this.#hasOpened = true;
    this.pause = null;
  }

  /** A connection lived long enough to make the next failure a first one. */
  recover() {
    this.failures = 0;
    this.#hasHurried = false;
  }

  /** The pause is over, or somebody does not want to wait. */
  resume() {
    this.pause = null;
    this.#hasHurried = false;
  }
}

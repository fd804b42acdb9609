// @ts-check
// How long to wait before the next attempt. Pure.

const BASE_MS = 500;
const FACTOR = 2;
const CAP_MS = 20_000;
const PATIENT_BASE_MS = 1_000;
const PATIENT_CAP_MS = 30_000;
const RETURN_BASE_MS = 10_000;
const RETURN_CAP_MS = 300_000;

/**
 * The usual backoff, with full jitter: between 0 and a bound that doubles, so that the clients of a relay that restarts
 * do not all come back at once.
 * @param {number} failures in a row so far, at least 1
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function backoff(failures, random = Math.random) {
  return random() * Math.min(CAP_MS, BASE_MS * FACTOR ** (failures - 1));
}

/**
 * The backoff where a person has to mend something first (a sign-in, a secret, a setting): slower, and never 0. Half of
 * it is jitter.
 * @param {number} failures in a row so far, at least 1
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function patientBackoff(failures, random = Math.random) {
  return Math.min(PATIENT_CAP_MS, PATIENT_BASE_MS * FACTOR ** (failures - 1)) * (1 + random()) / 2;
}

/**
 * The pause between two attempts to get a WebSocket while polling works. A block usually stays, so the pauses grow to
 * minutes. Half of each is jitter.
 * @param {number} looks attempts without success so far
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function returnDelay(looks, random = Math.random) {
  const bound = Math.min(RETURN_CAP_MS, RETURN_BASE_MS * FACTOR ** looks);
  return bound * (1 + random()) / 2;
}

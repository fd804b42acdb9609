// @ts-check
// How long to wait before the next try. Pure.

const BASE_MS = 500;
const FACTOR = 2;
const CAP_MS = 20_000;
const PATIENT_BASE_MS = 1_000;
const PATIENT_CAP_MS = 30_000;
const RETURN_BASE_MS = 10_000;
const RETURN_CAP_MS = 300_000;

/**
 * Full jitter: anywhere between nothing and the bound, so that the clients of a relay that
 * restarts do not come back together.
 * @param {number} failures in a row so far, at least 1
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function backoff(failures, random = Math.random) {
  return random() * Math.min(CAP_MS, BASE_MS * FACTOR ** (failures - 1));
}

/**
 * For what somebody has to mend first (a sign-in, a secret, a setting): slower, and never at once.
 * Half of it is jitter.
 * @param {number} failures in a row so far, at least 1
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function patientBackoff(failures, random = Math.random) {
  return Math.min(PATIENT_CAP_MS, PATIENT_BASE_MS * FACTOR ** (failures - 1)) * (1 + random()) / 2;
}

/**
 * Between two looks for a WebSocket while polling does: what blocks one mostly stays, so soon they
 * are minutes apart. Half of it is jitter.
 * @param {number} looks without success so far
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function returnDelay(looks, random = Math.random) {
  const bound = Math.min(RETURN_CAP_MS, RETURN_BASE_MS * FACTOR ** looks);
  return bound * (1 + random()) / 2;
}

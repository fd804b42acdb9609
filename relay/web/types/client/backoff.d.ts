/**
 * The usual backoff, with full jitter: between 0 and a bound that doubles, so that the clients of a relay that restarts
 * do not all come back at once.
 * @param {number} failures in a row so far, at least 1
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function backoff(failures: number, random?: () => number): number;
/**
 * The backoff where a person has to mend something first (a sign-in, a secret, a setting): slower, and never 0. Half of
 * it is jitter.
 * @param {number} failures in a row so far, at least 1
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function patientBackoff(failures: number, random?: () => number): number;
/**
 * The pause between two attempts to get a WebSocket while polling works. A block usually stays, so the pauses grow to
 * minutes. Half of each is jitter.
 * @param {number} looks attempts without success so far
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function returnDelay(looks: number, random?: () => number): number;

/**
 * Full jitter: anywhere between nothing and the bound, so that the clients of a relay that
 * restarts do not come back together.
 * @param {number} failures in a row so far, at least 1
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function backoff(failures: number, random?: () => number): number;
/**
 * For what somebody has to mend first (a sign-in, a secret, a setting): slower, and never at once.
 * Half of it is jitter.
 * @param {number} failures in a row so far, at least 1
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function patientBackoff(failures: number, random?: () => number): number;
/**
 * Between two looks for a WebSocket while polling does: what blocks one mostly stays, so soon they
 * are minutes apart. Half of it is jitter.
 * @param {number} looks without success so far
 * @param {() => number} [random] in [0, 1)
 * @returns {number} ms
 */
export function returnDelay(looks: number, random?: () => number): number;

/** @param {number} tasks that one request names */
export function costOfTasks(tasks: number): number;
/** @param {number} [limit] of a list; one that the relay does not allow costs nothing to read */
export function costOfList(limit?: number): number;
export class Pace {
    /** Another connection: the relay counts from nothing, and has not said how many it takes. */
    begin(): void;
    /**
     * @param {number} perSecond requests the relay takes
     * @param {number} now in ms
     */
    learn(perSecond: number, now: number): void;
    /**
     * @param {number} now in ms
     * @returns {number} ms until the next request may leave, 0 for at once
     */
    waitMs(now: number): number;
    /** @param {number} requests that what has been sent counts as */
    spend(requests: number): void;
    /**
     * The relay refused a request, and takes the next one after this time.
     * @param {number} waitMs
     * @param {number} now in ms
     */
    refused(waitMs: number, now: number): void;
    #private;
}

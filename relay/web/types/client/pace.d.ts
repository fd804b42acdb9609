/**
 * The cost of a request, in requests.
 * @param {number} tasks how many it names
 */
export function costOfTasks(tasks: number): number;
/**
 * The cost of joining a list, in requests. A limit that the relay does not allow costs one: nothing is read for it.
 * @param {number} [limit] of the list
 */
export function costOfList(limit?: number): number;
export class Pace {
    /** A new connection: the relay starts to count again, and has not named its rate yet. */
    begin(): void;
    /**
     * @param {number} perSecond requests that the relay accepts
     * @param {number} now in ms
     */
    learn(perSecond: number, now: number): void;
    /**
     * @param {number} now in ms
     * @returns {number} ms until the next request may be sent; 0 for now
     */
    waitMs(now: number): number;
    /** @param {number} requests the cost of what was sent */
    spend(requests: number): void;
    /**
     * The relay refused a request, and accepts the next one after this time.
     * @param {number} waitMs
     * @param {number} now in ms
     */
    refused(waitMs: number, now: number): void;
    #private;
}

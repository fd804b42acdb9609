/**
 * `request`: the id of the leave that was sent. `notBefore`: when it may be sent, in ms since the epoch.
 * @typedef {{request?: string, notBefore: number}} Leave
 */
/** The key of a leave is a task id, or null for the list of tasks. */
export class Leaves {
    /** @param {string | null} key */
    add(key: string | null): void;
    /** A new connection has joined nothing, so there is nothing to leave. */
    clear(): void;
    /**
     * Joined again: a leave that was not sent is dropped.
     * @param {string | null} key
     */
    cancel(key: string | null): void;
    /**
     * @param {string | null} key
     * @param {string | undefined} request the id of the leave; undefined while there is no connection
     */
    sent(key: string | null, request: string | undefined): void;
    /**
     * The relay confirmed a leave.
     * @param {string | null} key
     * @param {string | undefined} replyTo
     */
    confirmed(key: string | null, replyTo: string | undefined): void;
    /**
     * The relay answered a leave with an error. After a temporary one it is sent again.
     * @param {string} request
     * @param {number | null} retryAt in ms since the epoch; null where the error is final
     */
    failed(request: string, retryAt: number | null): void;
    /**
     * The keys of those to send now.
     * @param {number} now in ms since the epoch
     */
    due(now: number): Generator<string | null, void, unknown>;
    /** When each of them may be sent, in ms since the epoch. */
    times(): number[];
    #private;
}
/**
 * `request`: the id of the leave that was sent. `notBefore`: when it may be sent, in ms since the epoch.
 */
export type Leave = {
    request?: string;
    notBefore: number;
};

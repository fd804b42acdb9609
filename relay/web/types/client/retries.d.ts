/** @typedef {{reason: string, until: number}} Pause the reason of a wait, and its end in ms since the epoch */
/**
 * How long to wait before the next attempt, in ms.
 * @param {string} reason
 * @param {number} times failures in a row, at least 1
 * @param {() => number} random in [0, 1)
 */
export function waitMs(reason: string, times: number, random: () => number): number;
/** The failures of one page. Connections that replace each other share it: another user resets no backoff. */
export class Retries {
    /** How many connections in a row failed. */
    failures: number;
    /** How many times in a row the token function returned no usable token. */
    tokenFailures: number;
    /** @type {Pause | null} The current wait. */
    pause: Pause | null;
    /** Another connection replaces the last one. Its failures continue to count, unless it was open. */
    follow(): void;
    /** Whether a connection may be tried now, before the pause is over. */
    get mayConnectNow(): boolean;
    /** A token is tried. During a pause this uses its one early attempt. */
    useToken(): void;
    /**
     * The relay said not to come back. A connection that replaces this one, as for another user, still has to wait.
     * @param {string} reason
     * @param {Pick<import("./host.js").Host, "now" | "random">} host
     */
    refuse(reason: string, { now, random }: Pick<import("./host.js").Host, "now" | "random">): void;
    /** A connection opened. It may be refused again soon, so an early attempt that was used stays used. */
    open(): void;
    /** A connection lived long enough: the next failure is the first one again. */
    recover(): void;
    /** The pause is over, or the user does not want to wait. */
    resume(): void;
    #private;
}
/**
 * the reason of a wait, and its end in ms since the epoch
 */
export type Pause = {
    reason: string;
    until: number;
};

/** @typedef {{reason: string, until: number}} Pause why it waits, and until when in ms since the epoch */
/**
 * How long to wait, in ms.
 * @param {string} reason
 * @param {number} times in a row that it was in vain
 * @param {() => number} random in [0, 1)
 */
export function waitMs(reason: string, times: number, random: () => number): number;
/** Connections that follow each other in a page may share one: another user's token is no reason to hurry either. */
export class Retries {
    /** How many connections in a row failed. */
    failures: number;
    /** How many times in a row the token function was asked in vain. */
    vain: number;
    /** @type {Pause | null} The wait that runs. */
    pause: Pause | null;
    /** A connection follows another one. What failed counts on, unless that one was open. */
    follow(): void;
    /** Whether a token may be brought now, and not only when the pause is over. */
    get mayHurry(): boolean;
    /** A token is brought. In a pause that was the one that need not wait. */
    bring(): void;
    /**
     * The relay said not to come back. Who follows all the same, as another user does, keeps the pauses.
     * @param {string} reason
     * @param {Pick<import("./host.js").Host, "now" | "random">} host
     */
    rest(reason: string, { now, random }: Pick<import("./host.js").Host, "now" | "random">): void;
    /** There is a connection. It may be refused again soon, so who has hurried has done so. */
    open(): void;
    /** A connection lived long enough to make the next failure a first one. */
    recover(): void;
    /** The pause is over, or somebody does not want to wait. */
    resume(): void;
    #private;
}
/**
 * why it waits, and until when in ms since the epoch
 */
export type Pause = {
    reason: string;
    until: number;
};

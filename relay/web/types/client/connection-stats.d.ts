/** @typedef {import("./messages.js").ServerMessage} ServerMessage */
export class ConnectionStats {
    /**
     * @param {(type: string, data: object) => string | undefined} ask
     *   sends a request for the relay's time, and returns its id
     * @param {() => number} [now] in ms since the epoch
     */
    constructor(ask: (type: string, data: object) => string | undefined, now?: () => number);
    /** When the last message arrived, in ms since the epoch; 0 before the first. */
    heardAt: number;
    /** How often the client connected again; -1 before the first connection. */
    reconnects: number;
    /** The user of the token; "" before the first connection. */
    sub: string;
    /** When the token expires, in ms since the epoch. 0 until the relay warns of it. */
    endsAt: number;
    /**
     * The time from a change in the database to its message here, in ms: the median of the last few, without the
     * difference of the clocks. Undefined until it was measured, which `measureDelay` switches on.
     */
    get delayMs(): number | undefined;
    /** The last 31 delays that were measured, in ms, the newest last. */
    get delaysMs(): number[];
    /**
     * A connection opened. An answer to a poll names no user, so its token does.
     * @param {string | undefined} sub undefined where the token cannot be read
     */
    opened(sub: string | undefined): void;
    /** @param {ServerMessage} message */
    take(message: ServerMessage): void;
    #private;
}
import type { ServerMessage } from "./messages.js";
export type { ServerMessage };

export class Delay {
    /** @param {(type: string, data: object) => string | undefined} send returns the id of the request */
    constructor(send: (type: string, data: object) => string | undefined);
    /** The median of the last delays, in ms; undefined until one was measured. */
    get medianMs(): number | undefined;
    /** The last delays, in ms, the newest last. */
    get lastMs(): number[];
    /**
     * @param {ServerMessage} message
     * @param {number} [now] ms since the epoch
     */
    take({ type, data, at, replyTo }: ServerMessage, now?: number): void;
    #private;
}
import type { ServerMessage } from "./messages.js";
export type { ServerMessage };

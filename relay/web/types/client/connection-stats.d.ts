/** @typedef {import("./messages.js").ServerMessage} ServerMessage */
export class ConnectionStats {
    /**
     * @param {(type: string, data: object) => string | undefined} ask
     *   for the relay's time; gives the id of the request
     * @param {() => number} [now] in ms since the epoch
     */
    constructor(ask: (type: string, data: object) => string | undefined, now?: () => number);
    /** When the last message came, in ms since the epoch; 0 before the first. */
    heardAt: number;
    /** How often the conversation was begun anew. */
    reconnects: number;
    /** Whom the token names, "" before the first welcome. */
    sub: string;
    /** When the token ends, in ms since the epoch, once the relay warned of it; otherwise 0. */
    endsAt: number;
    /**
     * From the database's time of a change to here, in ms: the median of the last few, the clocks'
     * difference removed. Undefined until something was measured (`measureDelay`).
     */
    get delayMs(): number | undefined;
    /** @param {ServerMessage} message */
    take(message: ServerMessage): void;
    #private;
}
export type ServerMessage = import("./messages.js").ServerMessage;

/** @typedef {import("./transports/transport.js").Transport} Transport */
export class Probe {
    /**
     * @param {() => Transport | null} open starts a WebSocket; null where none can be made
     * @param {import("./host.js").Host} host
     */
    constructor(open: () => Transport | null, host: import("./host.js").Host);
    /** @type {Transport | null} The WebSocket under way. */
    transport: Transport | null;
    /**
     * Tries a WebSocket now, unless one is under way.
     * @returns {boolean} false where none can be made
     */
    start(): boolean;
    /** Tries one now, and later again with growing pauses. */
    look(): void;
    /** Tries one after a pause that grows with every try. */
    lookLater(): void;
    /** The next pause is the first one again. */
    reset(): void;
    /**
     * Bounds the time for the WebSocket under way.
     * @param {number} ms
     * @param {() => void} call unless the probe is stopped or looks again before
     */
    expireIn(ms: number, call: () => void): void;
    /** Gives the WebSocket away: it opened or ended, and is not closed here. */
    release(): void;
    /** Closes the WebSocket, and tries none any more. */
    stop(): void;
    #private;
}
import type { Transport } from "./transports/transport.js";
export type { Transport };

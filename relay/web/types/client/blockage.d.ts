export class Blockage {
    /** Whether HTTP is to be tried now. */
    get isSuspected(): boolean;
    /** Whether a WebSocket was tried while HTTP got through. Until then one is, before anything is polled. */
    get isProven(): boolean;
    /** Whether the machine has said of no loss of its network since `watch()`. */
    get isUndisturbed(): boolean;
    /** From here on what fails counts, unless the machine loses its network meanwhile. */
    watch(): void;
    /** The machine has lost its network. */
    disturb(): void;
    /** No WebSocket gets through here, and HTTP does; or there is nothing to make a WebSocket of. */
    prove(): void;
    /** There is a WebSocket. */
    disprove(): void;
    /**
     * @param {Ending} ending of a WebSocket
     * @param {{opened: boolean, healthy: boolean}} how far it had come
     */
    socketEnded({ code, reason }: Ending, { opened, healthy }: {
        opened: boolean;
        healthy: boolean;
    }): void;
    /**
     * @param {Ending} ending of long polling
     * @param {boolean} opened
     */
    pollingEnded({ code, reason }: Ending, opened: boolean): void;
    #private;
}
export type Ending = import("./transports/transport.js").Ending;

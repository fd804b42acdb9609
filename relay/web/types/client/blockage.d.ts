export class Blockage {
    /** Whether to try HTTP now. */
    get isSuspected(): boolean;
    /** Whether a WebSocket failed while HTTP got through. Before polling starts, this has to be confirmed. */
    get isConfirmed(): boolean;
    /** Whether failures count: the machine reported no loss of its network since `watch()`. */
    get isObserved(): boolean;
    /** Begins to observe: failures count from here on, unless the machine loses its network. */
    watch(): void;
    /** The machine reported that it lost its network. */
    networkLost(): void;
    /** HTTP gets through and WebSocket does not, or this environment has no WebSocket. */
    confirm(): void;
    /** A WebSocket got through. */
    ruleOut(): void;
    /**
     * @param {Ending} ending of a WebSocket
     * @param {{opened: boolean, healthy: boolean}} progress `opened`: the relay accepted it
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
import type { Ending } from "./transports/transport.js";
export type { Ending };

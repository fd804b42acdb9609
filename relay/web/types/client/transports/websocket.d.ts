/** @implements {Transport} */
export class WebSocketTransport implements Transport {
    /**
     * Throws as `new WebSocket` does. Do not log that error: its text may contain the token.
     * @param {TransportOptions & {url: string | URL}} options
     */
    constructor({ url, token, host, onOpen, onClaims, onMessage, onEnd }: TransportOptions & {
        url: string | URL;
    });
    name: "websocket";
    /**
     * @param {string} type
     * @param {object} data
     */
    send(type: string, data: object): string;
    /** Sends a ping, and ends if nothing arrives within 5 s. */
    checkAlive(): void;
    close(): void;
    #private;
}
import type { Ending } from "./transport.js";
export type { Ending };
import type { Transport } from "./transport.js";
export type { Transport };
import type { TransportOptions } from "./transport.js";
export type { TransportOptions };

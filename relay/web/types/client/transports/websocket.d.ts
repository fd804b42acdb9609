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
export type Ending = import("./transport.js").Ending;
export type Transport = import("./transport.js").Transport;
export type TransportOptions = import("./transport.js").TransportOptions;

/** @implements {Transport} */
export class WebSocketTransport implements Transport {
    /**
     * Throws as `new WebSocket` does; the error's text might show the token.
     * @param {TransportOptions & {url: string | URL}} options
     */
    constructor({ url, token, host, onOpen, onMessage, onEnd }: TransportOptions & {
        url: string | URL;
    });
    name: "websocket";
    /**
     * @param {string} type
     * @param {object} data
     */
    send(type: string, data: object): string;
    /** Asks for a sign of life now. */
    checkAlive(): void;
    close(): void;
    #private;
}
export type Ending = import("./transport.js").Ending;
export type Transport = import("./transport.js").Transport;
export type TransportOptions = import("./transport.js").TransportOptions;

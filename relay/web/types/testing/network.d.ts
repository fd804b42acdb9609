export class Network {
    /** @param {(socket: Socket) => void} onSocket called for each socket that gets through */
    constructor(onSocket: (socket: Socket) => void);
    isOnline: boolean;
    /** @type {Host} */
    host: Host;
    /** Ends every socket without an explanation, and lets none through. */
    goOffline(): void;
    goOnline(): void;
    /** Lets a client that waits try at once, as when a page becomes visible. */
    wake(): void;
    /** Resolves when nothing happens by itself any more. */
    settled(): Promise<void>;
    /**
     * Lets time pass: the timers of the clients and of the relay fire in their order.
     * @param {number} ms
     */
    advance(ms: number): Promise<void>;
    #private;
}
/** One end of a connection: the part of a WebSocket that the client uses, and what the relay does with it. */
export class Socket {
    /**
     * @param {string} url
     * @param {(call: () => void) => void} soon
     * @param {() => void} released called at the end
     */
    constructor(url: string, soon: (call: () => void) => void, released: () => void);
    readyState: number;
    /** @type {((event: {data: string}) => void) | null} */
    onmessage: ((event: {
        data: string;
    }) => void) | null;
    /** @type {((event: {code: number, reason: string}) => void) | null} */
    onclose: ((event: {
        code: number;
        reason: string;
    }) => void) | null;
    /** @type {(() => void) | null} */
    onopen: (() => void) | null;
    /** @type {(() => void) | null} */
    onerror: (() => void) | null;
    /** @type {(frame: any) => void} what the relay does with a request */
    onRequest: (frame: any) => void;
    /** @type {() => void} what the relay does at the end */
    onEnd: () => void;
    url: string;
    /** @param {string} frame */
    send(frame: string): void;
    close(): void;
    /**
     * Sends a message to the client.
     * @param {object} message
     */
    deliver(message: object): void;
    /**
     * Ends the connection, after what was sent before.
     * @param {number} code
     * @param {string} reason
     */
    end(code: number, reason: string): void;
    #private;
}
import type { Host } from "../client/host.js";
export type { Host };
import type { HostEvent } from "../client/host.js";
export type { HostEvent };

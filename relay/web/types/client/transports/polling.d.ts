/**
 * A refusal as the close of a WebSocket would tell it.
 * @param {number} status
 * @param {Partial<import("../protocol.js").ErrorData>} error
 * @returns {Ending}
 */
export function endingOf(status: number, { code, message, retryAfterMs }: Partial<import("../protocol.js").ErrorData>): Ending;
/** @implements {Transport} */
export class PollingTransport implements Transport {
    /** @param {TransportOptions & {url: string | URL, configUrl: string | URL, moments?: Moments}} options */
    constructor({ url, configUrl, token, host, onOpen, onMessage, onEnd, moments }: TransportOptions & {
        url: string | URL;
        configUrl: string | URL;
        moments?: Moments;
    });
    name: "polling";
    /**
     * @param {string} type
     * @param {object} data
     */
    send(type: string, data: object): string;
    /** A poll that waits on a network that is gone would wait for long. */
    probe(): void;
    close(): void;
    #private;
}
export type Ending = import("./transport.js").Ending;
export type Transport = import("./transport.js").Transport;
export type TransportOptions = import("./transport.js").TransportOptions;
export type Moments = import("./moments.js").Moments;
export type PollBody = import("../protocol.js").PollBody;

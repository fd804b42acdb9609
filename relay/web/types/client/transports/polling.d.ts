/** @implements {Transport} */
export class PollingTransport implements Transport {
    /** @param {TransportOptions & {url: string | URL, configUrl: string | URL, moments?: Moments}} options */
    constructor({ url, configUrl, token, host, onOpen, onClaims, onMessage, onEnd, moments }: TransportOptions & {
        url: string | URL;
        configUrl: string | URL;
        moments?: Moments;
    });
    name: "polling";
    /**
     * @param {string} type
     * @param {object} data
     */
    send(type: string, data: object): string | undefined;
    /** Polls again: a poll on a network that is gone would only end after 35 s. */
    checkAlive(): void;
    close(): void;
    #private;
}
export type Ending = import("./transport.js").Ending;
export type Transport = import("./transport.js").Transport;
export type TransportOptions = import("./transport.js").TransportOptions;
export type Moments = import("./moments.js").Moments;
export type ListEntry = import("./poll-state.js").ListEntry;
export type Refusal = import("./poll-state.js").Refusal;
export type TaskEntry = import("./poll-state.js").TaskEntry;

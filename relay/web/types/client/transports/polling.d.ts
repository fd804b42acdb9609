/**
 * A refusal as the close of a WebSocket would tell it.
 * @param {number} status
 * @param {Partial<import("../messages.js").Error>} error
 * @returns {Ending}
 */
export function endingOf(status: number, { code, message, retryAfterMs }: Partial<import("../messages.js").Error>): Ending;
/**
 * A body, or why there is none; `refusal` where the relay itself did not like what was asked.
 * @typedef {{body: any, ending?: undefined, refusal?: undefined} | {body?: undefined, ending: Ending, refusal?: Refusal}} Answer
 */
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
    send(type: string, data: object): string | undefined;
    /** A poll that waits on a network that is gone would wait for long. */
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
/**
 * A body, or why there is none; `refusal` where the relay itself did not like what was asked.
 */
export type Answer = {
    body: any;
    ending?: undefined;
    refusal?: undefined;
} | {
    body?: undefined;
    ending: Ending;
    refusal?: Refusal;
};

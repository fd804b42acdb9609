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
import type { Ending } from "./transport.js";
export type { Ending };
import type { Transport } from "./transport.js";
export type { Transport };
import type { TransportOptions } from "./transport.js";
export type { TransportOptions };
import type { Moments } from "./moments.js";
export type { Moments };
import type { ListEntry } from "./poll-state.js";
export type { ListEntry };
import type { Refusal } from "./poll-state.js";
export type { Refusal };
import type { TaskEntry } from "./poll-state.js";
export type { TaskEntry };

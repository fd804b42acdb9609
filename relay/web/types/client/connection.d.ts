export class Connection {
    /**
     * @param {object} options
     * @param {Endpoints} options.endpoints
     * @param {() => string | Promise<string>} options.token
     * @param {Host} options.host
     * @param {() => void} options.onOpen before the first message of every opening
     * @param {(message: ServerMessage) => void} options.onMessage
     */
    constructor({ endpoints, token, host, onOpen, onMessage }: {
        endpoints: Endpoints;
        token: () => string | Promise<string>;
        host: Host;
        onOpen: () => void;
        onMessage: (message: ServerMessage) => void;
    });
    /** @type {Status} */
    status: Status;
    /** @type {Listeners<Status>} */
    statusListeners: Listeners<Status>;
    /**
     * @param {string} type
     * @param {object} data
     * @returns {string | undefined} the id of the request; undefined where no answer will come, as while not connected
     */
    send(type: string, data: object): string | undefined;
    /** Tries at once, after a refusal too. */
    retry(): void;
    close(): void;
    #private;
}
export type Host = import("./host.js").Host;
export type ServerMessage = import("./protocol.js").ServerMessage;
export type Ending = import("./transports/transport.js").Ending;
export type Transport = import("./transports/transport.js").Transport;
/**
 * `connecting`: a try is under way. `live`: connected and current. `stale`: connected, but the
 * relay lost the database or is behind it. `polling`: current over long polling. `offline`: not
 * connected, the next try is at `nextTryAt`. `refused`: resting until `retry()`.
 */
export type State = "connecting" | "live" | "stale" | "polling" | "offline" | "refused";
/**
 * `reason` is a short stable word: a close reason of PROTOCOL.md section 7, or our own `network`,
 * `silent`, `unreadable`, `no_token`, `bad_token`, `token_unavailable`. `nextTryAt` is in ms since
 * the epoch.
 */
export type Status = {
    state: State;
    reason?: string;
    nextTryAt?: number;
};
export type Endpoints = {
    socket: URL;
    poll: URL;
    config: URL;
};
import { Listeners } from "./listeners.js";

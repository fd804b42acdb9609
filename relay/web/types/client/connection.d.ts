export class Connection {
    /**
     * @param {object} options
     * @param {import("./transports/open.js").Endpoints} options.endpoints
     * @param {import("./tokens.js").GetToken} options.token
     * @param {Host} options.host
     * @param {() => void} options.onOpen before the first message of every opening
     * @param {(message: ServerMessage) => void} options.onMessage
     * @param {Retries} [options.retries] those of the connection that this one follows
     */
    constructor({ endpoints, token, host, onOpen, onMessage, retries }: {
        endpoints: import("./transports/open.js").Endpoints;
        token: import("./tokens.js").GetToken;
        host: Host;
        onOpen: () => void;
        onMessage: (message: ServerMessage) => void;
        retries?: Retries | undefined;
    });
    /** @type {Status} */
    status: Status;
    /** @type {Listeners<Status>} */
    statusListeners: Listeners<Status>;
    isClosed: boolean;
    /** The token of this connection, or of the last try; null before there was one. */
    get token(): string | null;
    /**
     * @param {string} type
     * @param {object} data
     * @returns {string | undefined} the id of the request; undefined where no answer will come, as while not connected
     */
    send(type: string, data: object): string | undefined;
    /** Tries at once, after a refusal too. */
    retry(): void;
    /**
     * The token function may give another token by now: where one is waited for it is asked at once, and
     * where we are connected what it gives is offered, if it differs.
     */
    renew(): Promise<void>;
    close(): void;
    #private;
}
export type Host = import("./host.js").Host;
export type ServerMessage = import("./messages.js").ServerMessage;
export type Ending = import("./transports/transport.js").Ending;
export type Transport = import("./transports/transport.js").Transport;
/**
 * `connecting`: a try is under way. `live`: connected and current. `stale`: connected, but the
 * relay lost the database or is behind it. `polling`: current over long polling. `offline`: not
 * connected, the next try is at `nextTryAt`. `refused`: resting until `retry()`, whatever token there is.
 */
export type State = "connecting" | "live" | "stale" | "polling" | "offline" | "refused";
/**
 * `reason` is a short stable word: a close reason of PROTOCOL.md section 7, or our own `network`,
 * `silent`, `unreadable`; of the token function `no_token`, `bad_token`, `token_unavailable`; of the
 * page `origin_not_allowed`, `mixed_content`, and while polling `no_websocket`. `nextTryAt` is in ms
 * since the epoch.
 */
export type Status = {
    state: State;
    reason?: string;
    nextTryAt?: number;
};
import { Listeners } from "./listeners.js";
import { Retries } from "./retries.js";

export class Connection {
    /**
     * @param {object} options
     * @param {import("./transports/open.js").Endpoints} options.endpoints
     * @param {import("./tokens.js").GetToken} options.token
     * @param {Host} options.host
     * @param {() => number | undefined} [options.early] the limit of a list to join with the first WebSocket, if any
     * @param {(joined?: number) => void} options.onOpen called for every new connection, before its first message, with
     *   the limit of the list if its request has joined one
     * @param {(message: ServerMessage, size: number) => void} options.onMessage `size`: characters of its JSON
     * @param {Retries} [options.retries] of the connection that this one replaces, so that its backoff continues
     */
    constructor({ endpoints, token, host, early, onOpen, onMessage, retries }: {
        endpoints: import("./transports/open.js").Endpoints;
        token: import("./tokens.js").GetToken;
        host: Host;
        early?: (() => number | undefined) | undefined;
        onOpen: (joined?: number) => void;
        onMessage: (message: ServerMessage, size: number) => void;
        retries?: Retries | undefined;
    });
    /** @type {Status} */
    status: Status;
    /** @type {Listeners<Status>} */
    statusListeners: Listeners<Status>;
    isClosed: boolean;
    /** @type {number | undefined} The close code of the last connection, until another attempt is made. */
    endCode: number | undefined;
    /**
     * What the user has of the claims that tasks may wait for; an empty object until the relay has said so. The same
     * object until it changes.
     * @type {Claims}
     */
    claims: Claims;
    /** The token of this connection or of the last attempt; null before the first one. */
    get token(): string | null;
    /** What messages come over; null while nothing is connected. */
    get transport(): "websocket" | "polling" | null;
    /**
     * @param {string} type
     * @param {object} data
     * @returns {string | undefined} the id of the request; undefined where no answer will follow, as while not connected
     */
    send(type: string, data: object): string | undefined;
    /** Makes an attempt now, also after a refusal. */
    retry(): void;
    /**
     * Says that the token function may now return another token. It is called at once if the connection waits for a
     * token or was refused; while connected, a token that differs is offered to the relay.
     */
    renew(): Promise<void>;
    close(): void;
    #private;
}
import type { Host } from "./host.js";
export type { Host };
import type { ServerMessage } from "./messages.js";
export type { ServerMessage };
import type { Claims } from "./transports/transport.js";
export type { Claims };
import type { Ending } from "./transports/transport.js";
export type { Ending };
import type { Transport } from "./transports/transport.js";
export type { Transport };
/**
 * - `connecting`: an attempt is under way.
 * - `live`: connected and current.
 * - `stale`: connected, but the relay lost the database or is behind it.
 * - `polling`: current over long polling.
 * - `offline`: not connected; the next attempt is at `nextTryAt`.
 * - `refused`: the relay said not to come back. Only `retry()` makes another attempt.
 */
export type State = "connecting" | "live" | "stale" | "polling" | "offline" | "refused";
/**
 * `reason` is a short stable word:
 * - a close reason of PROTOCOL.md section 7;
 * - from the network: `network`, `silent`, `unreadable`; `not_found` where something answers that is not the relay;
 * - from the token function: `no_token`, `bad_token`, `token_unavailable`;
 * - from the page: `origin_not_allowed`, `mixed_content`;
 * - while polling: `no_websocket` where none can be made, `not_found` where the relay is not at the address of the
 *   WebSocket, `blocked` where HTTP gets through to it and WebSocket does not.
 *
 * `nextTryAt` is in ms since the epoch.
 */
export type Status = {
    state: State;
    reason?: string;
    nextTryAt?: number;
};
import { Listeners } from "./listeners.js";
import { Retries } from "./retries.js";

/** @type {Readonly<Record<ErrorCode, boolean>>} The codes of errors, and whether a client may ask again. */
export const TEMPORARY: Readonly<Record<ErrorCode, boolean>>;
export class Conversation {
    /**
     * @param {import("./network.js").Socket} socket
     * @param {object} relay
     * @param {import("./tasks.js").Tasks} relay.tasks
     * @param {import("../client/host.js").Host} relay.host
     * @param {string} relay.sub of the user
     * @param {() => Claims} relay.claims of the user
     * @param {() => ErrorCode | undefined} relay.failure of the next join
     * @param {(ended: Conversation) => void} relay.ended
     */
    constructor(socket: import("./network.js").Socket, relay: {
        tasks: import("./tasks.js").Tasks;
        host: import("../client/host.js").Host;
        sub: string;
        claims: () => Claims;
        failure: () => ErrorCode | undefined;
        ended: (ended: Conversation) => void;
    });
    hasList: boolean;
    /** @type {Set<string>} The tasks that are joined. */
    rooms: Set<string>;
    /**
     * @param {string} type
     * @param {object} data
     * @param {{replyTo?: string, at?: string}} [envelope]
     */
    send(type: string, data: object, { replyTo, at }?: {
        replyTo?: string;
        at?: string;
    }): void;
    /**
     * Sends the messages of a change that this connection has joined, each once.
     * @param {readonly import("./tasks.js").Told[]} messages
     */
    tell(messages: readonly import("./tasks.js").Told[]): void;
    /** Asks the client for a fresh token, and with it for the claims of the user. */
    askToken(): void;
    /**
     * @param {number} code
     * @param {string} reason
     */
    end(code: number, reason: string): void;
    #private;
}
import type { ErrorCode } from "../client/messages.js";
export type { ErrorCode };
import type { Claims } from "../client/transports/transport.js";
export type { Claims };

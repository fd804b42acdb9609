/**
 * The values that there are.
 * @template {Record<string, unknown>} T
 * @param {T} values
 * @returns {{[K in keyof T]?: Exclude<T[K], undefined>}}
 */
export function given<T extends Record<string, unknown>>(values: T): { [K in keyof T]?: Exclude<T[K], undefined>; };
/** @typedef {{at: number, type: string, size: number, taskId: string | undefined, payload: string | undefined}} Note */
export class Notes {
    /** How many messages were received. */
    received: number;
    /** Whether payloads are kept from now on. */
    keepsPayloads: boolean;
    /** @type {DebugStatus[]} */
    statuses: DebugStatus[];
    /**
     * @param {{type: string, data: any}} message
     * @param {number} size
     * @param {number} at in ms since the epoch
     */
    message({ type, data }: {
        type: string;
        data: any;
    }, size: number, at: number): void;
    /**
     * @param {Status} status
     * @param {number | undefined} code
     * @param {number} at in ms since the epoch
     */
    status({ state, reason }: Status, code: number | undefined, at: number): void;
    /**
     * The last messages, the oldest first.
     * @param {boolean} withPayloads
     * @returns {DebugMessage[]}
     */
    messages(withPayloads: boolean): DebugMessage[];
    #private;
}
import type { State } from "./connection.js";
export type { State };
import type { Status } from "./connection.js";
export type { Status };
/**
 * A message of the relay.
 */
export type DebugMessage = {
    /**
     * when it arrived, in ms since the epoch
     */
    at: number;
    type: string;
    /**
     * characters of its JSON; over long polling, of the whole answer that it came in
     */
    size: number;
    /**
     * the task it is about, null for the list; absent where it is about the connection
     */
    room?: string | null | undefined;
    /**
     * the JSON of its `data`, cut after 4,096 characters: only for `debug({ payloads: true })`
     */
    payload?: string | undefined;
};
/**
 * A status that the connection had.
 */
export type DebugStatus = {
    /**
     * when it began, in ms since the epoch
     */
    at: number;
    state: State;
    reason?: string | undefined;
    /**
     * the close code of the connection that ended; 1006 for an end without an explanation
     */
    code?: number | undefined;
};
/**
 * What the application has joined.
 */
export type DebugRoom = {
    /**
     * the id of the task, null for the list
     */
    room: string | null;
    /**
     * of the timeline or the list
     */
    state: string;
    /**
     * what the client has of the relay's answer: `wanted`, `asked`, `joined`, `gone`, `full`, `refused`
     */
    phase: string;
    /**
     * how many events of the task, or tasks of the list, are here
     */
    held: number;
    /**
     * the position in the task; absent before the first state
     */
    since?: number | undefined;
    /**
     * belongs to `since`
     */
    head?: string | undefined;
};
/**
 * The times of a token, in ms since the epoch; absent where it names none or cannot be read.
 */
export type DebugToken = {
    length: number;
    issuedAt?: number;
    expiresAt?: number;
};
/**
 * A plain object, safe to be shown to others: it has no token and no title. It has ids of tasks.
 */
export type DebugReport = {
    /**
     * when it was made, in ms since the epoch
     */
    at: number;
    state: State;
    /**
     * the reason of the state, a word of `Status`
     */
    why?: string | undefined;
    /**
     * the close code of the last connection, if it is the reason
     */
    code?: number | undefined;
    /**
     * of the next attempt, in ms since the epoch
     */
    nextTryAt?: number | undefined;
    /**
     * null while nothing is connected
     */
    transport: "websocket" | "polling" | null;
    /**
     * the one that was used last
     */
    token: DebugToken | null;
    /**
     * how often a WebSocket opened again
     */
    reconnects: number;
    /**
     * messages since the client was made
     */
    received: number;
    /**
     * when the last message arrived, in ms since the epoch
     */
    heardAt?: number | undefined;
    /**
     * from the database to here, of the last changes; empty without `measureDelay`
     */
    delaysMs: number[];
    rooms: DebugRoom[];
    /**
     * the last 50, the oldest first
     */
    statuses: DebugStatus[];
    /**
     * the last 50, the oldest first
     */
    messages: DebugMessage[];
};
export type Note = {
    at: number;
    type: string;
    size: number;
    taskId: string | undefined;
    payload: string | undefined;
};

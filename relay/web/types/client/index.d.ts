/**
 * @typedef {object} ConnectOptions
 * @property {string | URL} url of the endpoint `/ws`; relative to the page, http or ws. `/poll` and
 *   `/config`, for where WebSocket is blocked, lie beside it.
 * @property {import("./tokens.js").GetToken} token
 *   a token for each connection; asked again when the relay wants a fresh one, and with growing pauses
 *   where it gives none, throws, or has no answer within 15 s
 * @property {boolean} [measureDelay] ask for the relay's time with every heartbeat, so that `stats` know
 *   how long changes take
 * @property {Partial<Host>} [host] parts of the surroundings to replace, as in tests
 */
/**
 * Connects, and stays connected until `close()`.
 * @param {ConnectOptions} options
 */
export function connect(options: ConnectOptions): Relay;
export { isSameUser } from "./token.js";
export class Relay {
    /**
     * @param {ConnectOptions} options
     * @param {import("./retries.js").Retries} [retries] those of the connection that this one takes the place of
     */
    constructor({ url, token, measureDelay, host: replaced }: ConnectOptions, retries?: import("./retries.js").Retries);
    /** Who speaks, how old the last word is, how long changes take. */
    stats: ConnectionStats;
    /** How things are now. */
    get status(): import("./connection.js").Status;
    /**
     * @param {(status: Status) => void} listener
     * @returns {Unsubscribe}
     */
    onStatus(listener: (status: Status) => void): Unsubscribe;
    /**
     * Every message, after lists and timelines have taken it in: for toasts and animations.
     * @param {(message: ServerMessage) => void} listener
     * @returns {Unsubscribe}
     */
    onMessage(listener: (message: ServerMessage) => void): Unsubscribe;
    /**
     * The list of all visible tasks. Everyone who joins shares it; it ends when left as often. The
     * first one's limit counts.
     * @param {{limit?: number}} [options] how many of the newest tasks a state brings
     * @returns {TaskList}
     */
    joinDashboard({ limit }?: {
        limit?: number;
    }): TaskList;
    leaveDashboard(): void;
    /**
     * One task with its events. Everyone who joins shares it; it ends when left as often.
     * @param {string} taskId
     * @returns {Timeline}
     */
    joinTask(taskId: string): Timeline;
    /** @param {string} taskId */
    leaveTask(taskId: string): void;
    /** Connects at once instead of waiting, after a refusal too. */
    retry(): void;
    /**
     * Says that the token function may give another token by now. Where one is waited for it is asked at
     * once, and where there is a connection what it gives is offered: for the same user only.
     */
    renew(): void;
    /**
     * Whether what is here may be another user's than this token's: the one that was brought names somebody
     * else, or it cannot be told whom one of the two names. Without a token it is nobody's.
     * @param {import("./tokens.js").MaybeToken} token
     */
    isOfAnother(token: import("./tokens.js").MaybeToken): boolean;
    /** Closes the client forever. Nothing is sent afterwards, whatever method is called. */
    close(): void;
    #private;
}
export type ConnectOptions = {
    /**
     * of the endpoint `/ws`; relative to the page, http or ws. `/poll` and
     * `/config`, for where WebSocket is blocked, lie beside it.
     */
    url: string | URL;
    /**
     *   a token for each connection; asked again when the relay wants a fresh one, and with growing pauses
     *   where it gives none, throws, or has no answer within 15 s
     */
    token: import("./tokens.js").GetToken;
    /**
     * ask for the relay's time with every heartbeat, so that `stats` know
     * how long changes take
     */
    measureDelay?: boolean | undefined;
    /**
     * parts of the surroundings to replace, as in tests
     */
    host?: Partial<import("./host.js").Host> | undefined;
};
export type State = import("./connection.js").State;
export type Status = import("./connection.js").Status;
export type Host = import("./host.js").Host;
export type Unsubscribe = import("./listeners.js").Unsubscribe;
export type Event = import("./messages.js").Event;
export type ServerMessage = import("./messages.js").ServerMessage;
export type TaskSummary = import("./messages.js").TaskSummary;
export type Selection = import("./selection.js").Selection;
export type SelectionChange = import("./selection.js").SelectionChange;
export type SelectOptions = import("./selection.js").SelectOptions;
export type TaskList = import("./task-list.js").TaskList;
export type Timeline = import("./timeline.js").Timeline;
import { ConnectionStats } from "./connection-stats.js";

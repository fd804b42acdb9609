/**
 * @typedef {object} ConnectOptions
 * @property {string | URL} url the address of the endpoint `/ws`: http(s) or ws(s), or relative to the page. `/poll`
 *   and `/config`, which are used where WebSocket is blocked, lie beside it.
 * @property {import("./tokens.js").GetToken} token
 *   returns a token, or a promise of one. It is called for each connection, again before a token expires, and with
 *   growing pauses where it returns none, throws, or does not answer within 15 s.
 * @property {boolean} [measureDelay] ask for the relay's time with every heartbeat, so that `stats.delayMs` is known
 * @property {boolean} [joinEarly] join the list already with the request for the first WebSocket, which saves a round trip.
 *   A proxy then has to forward the address of `url` with `/dashboard` behind it, too.
 * @property {Partial<Host>} [host] parts of the environment to replace, as in tests
 */
/**
 * Connects to a relay, and stays connected until `close()`. In TypeScript, `connect<{ events: MyEvents }>(…)` types what
 * events hold: the data by the type of the event.
 *
 * Throws a TypeError if `url` is no address of a relay, or `token` no function.
 * @template {ApplicationTypes} [T=ApplicationTypes]
 * @param {ConnectOptions} options
 * @returns {Relay<T>}
 */
export function connect<T extends ApplicationTypes = import("./application-types.js").ApplicationTypes>(options: ConnectOptions): Relay<T>;
export { isSameUser } from "./token.js";
/** @template {ApplicationTypes} [T=ApplicationTypes] */
export class Relay<T extends ApplicationTypes = import("./application-types.js").ApplicationTypes> {
    /**
     * @param {ConnectOptions} options
     * @param {import("./retries.js").Retries} [retries] of the connection that this one replaces, so that its backoff
     *   continues
     */
    constructor({ url, token, measureDelay, joinEarly, host: replaced }: ConnectOptions, retries?: import("./retries.js").Retries);
    /** The user, the age of the last message, the delay of changes. */
    stats: ConnectionStats;
    /**
     * What this user has of the claims that tasks wait for, as `{sub: ["alice"]}`: compare them with the `waitsFor` of a
     * task, as `sectionOf` of the view does. An empty object until it is known; the same object until it changes.
     */
    get me(): import("./transports/transport.js").Claims;
    /** The current status of the connection. */
    get status(): import("./connection.js").Status;
    /**
     * @param {(status: Status) => void} listener
     * @returns {Unsubscribe}
     */
    onStatus(listener: (status: Status) => void): Unsubscribe;
    /**
     * Calls back for every message, after lists and timelines have applied it: for toasts and animations.
     * @param {(message: ServerMessage<EventsOf<T>>) => void} listener
     * @returns {Unsubscribe}
     */
    onMessage(listener: (message: ServerMessage<EventsOf<T>>) => void): Unsubscribe;
    /**
     * Calls back for every message of one type, as in `relay.on("task:failed", ({ taskId, error }) => …)`, after lists and
     * timelines have applied it. Messages are not repeated after a break: they are hints for toasts and sounds.
     * @template {MessageType} K
     * @param {K} type
     * @param {(data: MessageData<K, EventsOf<T>>, message: MessageOf<K, EventsOf<T>>) => void} listener
     * @returns {Unsubscribe}
     */
    on<K extends MessageType>(type: K, listener: (data: MessageData<K, EventsOf<T>>, message: MessageOf<K, EventsOf<T>>) => void): Unsubscribe;
    /**
     * Joins the list of all visible tasks. Every call returns the same list, until `leaveDashboard` was called as often.
     * @param {{limit?: number | undefined}} [options] how many of the newest tasks a state contains; the first call decides
     * @returns {TaskList}
     */
    joinDashboard({ limit }?: {
        limit?: number | undefined;
    }): TaskList;
    leaveDashboard(): void;
    /**
     * Joins one task with its events. Every call returns the same timeline, until `leaveTask` was called as often.
     * @param {string} taskId
     * @returns {Timeline<EventsOf<T>>}
     */
    joinTask(taskId: string): Timeline<EventsOf<T>>;
    /** @param {string} taskId */
    leaveTask(taskId: string): void;
    /** Connects now instead of waiting, also after a refusal. */
    retry(): void;
    /**
     * Says that the token function would now return another token. It is called at once if the connection waits for a
     * token or was refused; an open connection continues with the new token if it is for the same user.
     */
    renew(): void;
    /**
     * Whether the lists and timelines here may belong to another user than this token: the last token names another
     * user, or one of the two cannot be read. False before the first token.
     * @param {import("./tokens.js").MaybeToken} token
     */
    isOfAnother(token: import("./tokens.js").MaybeToken): boolean;
    /**
     * How the connection is and how it came to be so, for a report of a fault: the status, the transport, the positions,
     * the last 50 messages and statuses, the delays and the times of the token. A plain object, and a copy. It has no
     * token, and nothing that a task holds.
     * @param {{payloads?: boolean | undefined}} [options] `payloads`: also what messages hold, of those that arrive after
     *   the first such call, and then of all until the client is closed
     * @returns {DebugReport}
     */
    debug({ payloads }?: {
        payloads?: boolean | undefined;
    }): DebugReport;
    /** Closes the client for good. No method sends anything afterwards. */
    close(): void;
    #private;
}
export type ConnectOptions = {
    /**
     * the address of the endpoint `/ws`: http(s) or ws(s), or relative to the page. `/poll`
     * and `/config`, which are used where WebSocket is blocked, lie beside it.
     */
    url: string | URL;
    /**
     *   returns a token, or a promise of one. It is called for each connection, again before a token expires, and with
     *   growing pauses where it returns none, throws, or does not answer within 15 s.
     */
    token: import("./tokens.js").GetToken;
    /**
     * ask for the relay's time with every heartbeat, so that `stats.delayMs` is known
     */
    measureDelay?: boolean | undefined;
    /**
     * join the list already with the request for the first WebSocket, which saves a round trip.
     * A proxy then has to forward the address of `url` with `/dashboard` behind it, too.
     */
    joinEarly?: boolean | undefined;
    /**
     * parts of the environment to replace, as in tests
     */
    host?: Partial<import("./host.js").Host> | undefined;
};
import type { ApplicationTypes } from "./application-types.js";
export type { ApplicationTypes };
import type { State } from "./connection.js";
export type { State };
import type { Status } from "./connection.js";
export type { Status };
import type { DebugReport } from "./debug.js";
export type { DebugReport };
import type { Host } from "./host.js";
export type { Host };
import type { Unsubscribe } from "./listeners.js";
export type { Unsubscribe };
import type { ConfigAnswer } from "./polls.js";
export type { ConfigAnswer };
import type { AnyEvents } from "./messages.js";
export type { AnyEvents };
import type { ErrorCode } from "./messages.js";
export type { ErrorCode };
import type { MessageType } from "./messages.js";
export type { MessageType };
import type { LinkTemplates } from "./polls.js";
export type { LinkTemplates };
import type { TaskSummary } from "./messages.js";
export type { TaskSummary };
import type { Selection } from "./selection.js";
export type { Selection };
import type { SelectionChange } from "./selection.js";
export type { SelectionChange };
import type { SelectOptions } from "./selection.js";
export type { SelectOptions };
import type { ListState } from "./task-list.js";
export type { ListState };
import type { TaskList } from "./task-list.js";
export type { TaskList };
import type { TimelineState } from "./timeline.js";
export type { TimelineState };
import type { Claims } from "./transports/transport.js";
export type { Claims };
import type { EventsOf } from "./application-types.js";
export type { EventsOf };
import type { Event } from "./messages.js";
export type { Event };
import type { MessageData } from "./messages.js";
export type { MessageData };
import type { MessageOf } from "./messages.js";
export type { MessageOf };
import type { ServerMessage } from "./messages.js";
export type { ServerMessage };
import type { ServerMessages } from "./messages.js";
export type { ServerMessages };
import type { Timeline } from "./timeline.js";
export type { Timeline };
import { ConnectionStats } from "./connection-stats.js";

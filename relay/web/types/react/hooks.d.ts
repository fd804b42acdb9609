/**
 * The state of the connection; unless it is `live`, also the reason and the time of the next attempt.
 * @template [S=WebSocketState]
 * @param {(connection: WebSocketState) => S} [select] a part of it: the component renders only when that part changes
 * @returns {S}
 */
export function useWebSocket<S = WebSocketState>(select?: (connection: WebSocketState) => S): S;
/**
 * All visible tasks, newest first, while this component is mounted. Arrays and objects keep their identity until they
 * change, so filter and sort in `useMemo` or `useTasks`, and show a task in a component made with `memo`.
 * @template [S=DashboardSnapshot]
 * @param {{limit?: number | undefined}} [options] how many of the newest tasks a state contains; the first component
 *   decides
 * @param {(list: DashboardSnapshot) => S} [select] a part of it: the component renders only when that part changes
 * @returns {S}
 */
export function useDashboardSubscription<S = import("./snapshots.js").DashboardSnapshot>({ limit }?: {
    limit?: number | undefined;
}, select?: (list: DashboardSnapshot) => S): S;
/**
 * The visible tasks that `where` keeps, in the order of `orderBy` (newest first without it), at most `limit`. The
 * component renders only when these change. The functions have to be pure, and may be others at each render.
 * @param {SelectOptions} [options]
 * @returns {DashboardSnapshot}
 */
export function useTasks(options?: SelectOptions): DashboardSnapshot;
/**
 * One task with its events, while this component is mounted. Without an id, its state is `none`.
 * @template [S=TaskSnapshot]
 * @param {string | null | undefined} taskId
 * @param {(task: TaskSnapshot) => S} [select] a part of it: the component renders only when that part changes
 * @returns {S}
 */
export function useTaskSubscription<S = TaskSnapshot>(taskId: string | null | undefined, select?: (task: TaskSnapshot) => S): S;
/**
 * The connection itself, for what no hook offers; null until there is one. Another one after another address or user.
 * Do not close it: the provider does, or whoever made it.
 * @returns {Relay | null}
 */
export function useRelay(): Relay | null;
/**
 * Calls back for every message of one type while this component is mounted, for toasts and sounds. The listener may be
 * another function at each render.
 * @template {MessageType} K
 * @param {K} type
 * @param {(data: MessageData<K>, message: MessageOf<K>) => void} listener
 */
export function useMessage<K extends MessageType>(type: K, listener: (data: MessageData<K>, message: MessageOf<K>) => void): void;
/**
 * What this user has of the claims that tasks wait for, as `{sub: ["alice"]}`, for `sectionOf(task, me)` of the view.
 * An empty object until the relay has said so; the same object until it changes.
 * @returns {import("../client/index.js").Claims}
 */
export function useMe(): import("../client/index.js").Claims;
/**
 * Whether the page may be out of date, and what happens next. Renders once a second while the connection waits for its
 * next attempt, and otherwise only when something changes.
 * @returns {Offline}
 */
export function useOfflineDetection(): Offline;
import type { Connection } from "./snapshots.js";
export type { Connection };
import type { DashboardSnapshot } from "./snapshots.js";
export type { DashboardSnapshot };
import type { TaskSnapshot } from "./snapshots.js";
export type { TaskSnapshot };
import type { MessageType } from "../client/index.js";
export type { MessageType };
import type { Relay } from "../client/index.js";
export type { Relay };
import type { SelectOptions } from "../client/index.js";
export type { SelectOptions };
import type { MessageData } from "../client/index.js";
export type { MessageData };
import type { MessageOf } from "../client/index.js";
export type { MessageOf };
import type { ServerMessage } from "../client/index.js";
export type { ServerMessage };
import type { Unsubscribe } from "../client/index.js";
export type { Unsubscribe };
/**
 * `retry` connects now instead of waiting, also after a refusal. `onMessage` calls back for every message, for toasts
 * and sounds; call it in an effect, and return the function it returns. Both functions keep their identity.
 */
export type WebSocketState = Connection & {
    retry: () => void;
    onMessage: (listener: (message: ServerMessage) => void) => Unsubscribe;
};
export type Offline = {
    /**
     * whether the page may be out of date, because there is no connection or the relay is
     * behind. False during the first attempt, and while a WebSocket or polling is current.
     */
    offline: boolean;
    /**
     * when that began, in ms since the epoch
     */
    since?: number | undefined;
    /**
     * until the next attempt
     */
    secondsLeft?: number | undefined;
    /**
     * whether the browser reports a network
     */
    networkOnline: boolean;
    /**
     * connects now
     */
    retry: () => void;
};

/**
 * The state of the connection; unless it is `live`, also the reason and the time of the next attempt.
 * @returns {WebSocketState}
 */
export function useWebSocket(): WebSocketState;
/**
 * All visible tasks, newest first, while this component is mounted. Arrays and objects keep their identity until they
 * change, so filter and sort in `useMemo`, and show a task in a component made with `memo`.
 * @param {{limit?: number | undefined}} [options] how many of the newest tasks a state contains; the first component decides
 * @returns {DashboardSnapshot}
 */
export function useDashboardSubscription({ limit }?: {
    limit?: number | undefined;
}): DashboardSnapshot;
/**
 * One task with its events, while this component is mounted. Without an id, its state is `none`.
 * @param {string | null | undefined} taskId
 * @returns {TaskSnapshot}
 */
export function useTaskSubscription(taskId: string | null | undefined): TaskSnapshot;
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
export type Connection = import("./snapshots.js").Connection;
export type DashboardSnapshot = import("./snapshots.js").DashboardSnapshot;
export type TaskSnapshot = import("./snapshots.js").TaskSnapshot;
export type ServerMessage = import("../client/index.js").ServerMessage;
export type Unsubscribe = import("../client/index.js").Unsubscribe;
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

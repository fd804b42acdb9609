/**
 * The connection: its state, and for anything else than `live` the reason and the next try.
 * @returns {WebSocketState}
 */
export function useWebSocket(): WebSocketState;
/**
 * All visible tasks, newest first, while this component is there. The same arrays and objects until
 * they change: who filters or sorts them does it in `useMemo`, who shows a task in `memo`.
 * @param {{limit?: number}} [options] how many of the newest tasks a state brings; the first one's counts
 * @returns {DashboardSnapshot}
 */
export function useDashboardSubscription({ limit }?: {
    limit?: number;
}): DashboardSnapshot;
/**
 * One task with its events, while this component is there; of none, where there is no id.
 * @param {string | null | undefined} taskId
 * @returns {TaskSnapshot}
 */
export function useTaskSubscription(taskId: string | null | undefined): TaskSnapshot;
/**
 * Whether what is shown may be out of date, and what happens next. Renders once a second, but only
 * while a next try is waited for.
 * @returns {Offline}
 */
export function useOfflineDetection(): Offline;
export type Connection = import("./snapshots.js").Connection;
export type DashboardSnapshot = import("./snapshots.js").DashboardSnapshot;
export type TaskSnapshot = import("./snapshots.js").TaskSnapshot;
export type ServerMessage = import("../client/index.js").ServerMessage;
export type Unsubscribe = import("../client/index.js").Unsubscribe;
/**
 * `retry` connects at once instead of waiting, after a refusal too. `onMessage` hears every message
 * (for toasts and sounds, in an effect; it returns its own end). Both stay the same functions.
 */
export type WebSocketState = Connection & {
    retry: () => void;
    onMessage: (listener: (message: ServerMessage) => void) => Unsubscribe;
};
export type Offline = {
    /**
     * what is shown may be out of date: there is no connection, or the relay
     * is behind. Not yet during the first try, and no longer once polling or a WebSocket is current.
     */
    offline: boolean;
    /**
     * since when, in ms since the epoch
     */
    since?: number | undefined;
    /**
     * until the next try, while one is waited for
     */
    secondsLeft?: number | undefined;
    /**
     * what the browser says of this machine's network
     */
    networkOnline: boolean;
    /**
     * tries at once
     */
    retry: () => void;
};

// @ts-check
// What components read. Nothing here holds state: it is all in the store, and React is told when it changed.

import { useCallback, useMemo, useSyncExternalStore } from "react";
import { everyTick, isOnline, onOnlineChange, secondsUntil } from "./machine.js";
import { useStore } from "./provider.js";
import { LOADING_DASHBOARD, LOADING_TASK, NO_TASK, NOT_YET_CONNECTED } from "./snapshots.js";

/** @typedef {import("./snapshots.js").Connection} Connection */
/** @typedef {import("./snapshots.js").DashboardSnapshot} DashboardSnapshot */
/** @typedef {import("./snapshots.js").TaskSnapshot} TaskSnapshot */
/** @typedef {import("../client/index.js").ServerMessage} ServerMessage */
/** @typedef {import("../client/index.js").Unsubscribe} Unsubscribe */

/**
 * `retry` connects at once instead of waiting, after a refusal too. `onMessage` hears every message
 * (for toasts and sounds, in an effect; it returns its own end). Both stay the same functions.
 * @typedef {Connection & {
 *   retry: () => void,
 *   onMessage: (listener: (message: ServerMessage) => void) => Unsubscribe,
 * }} WebSocketState
 */

/**
 * @typedef {object} Offline
 * @property {boolean} offline what is shown may be out of date: there is no connection, or the relay
 *   is behind. Not yet during the first try, and no longer once polling or a WebSocket is current.
 * @property {number} [since] since when, in ms since the epoch
 * @property {number} [secondsLeft] until the next try, while one is waited for
 * @property {boolean} networkOnline what the browser says of this machine's network
 * @property {() => void} retry tries at once
 */

const nothing = () => {};
const unwatched = () => nothing;

/**
 * The connection: its state, and for anything else than `live` the reason and the next try.
 * @returns {WebSocketState}
 */
export function useWebSocket() {
  const store = useStore();
  const connection = useSyncExternalStore(store.watchConnection, () => store.connection, () => NOT_YET_CONNECTED);
  return useMemo(
    () => ({ ...connection, retry: store.retry, onMessage: store.onMessage }),
    [store, connection],
  );
}

/**
 * All visible tasks, newest first, while this component is there. The same arrays and objects until
 * they change: who filters or sorts them does it in `useMemo`, who shows a task in `memo`.
 * @param {{limit?: number}} [options] how many of the newest tasks a state brings; the first one's counts
 * @returns {DashboardSnapshot}
 */
export function useDashboardSubscription({ limit } = {}) {
  const store = useStore();
  const watch = useCallback(
    (/** @type {() => void} */ listener) => store.watchDashboard(listener, limit),
    [store, limit],
  );
  return useSyncExternalStore(watch, () => store.dashboard, () => LOADING_DASHBOARD);
}

/**
 * One task with its events, while this component is there; of none, where there is no id.
 * @param {string | null | undefined} taskId
 * @returns {TaskSnapshot}
 */
export function useTaskSubscription(taskId) {
  const store = useStore();
  const watch = useCallback(
    (/** @type {() => void} */ listener) => (taskId ? store.watchTask(taskId, listener) : nothing),
    [store, taskId],
  );
  const snapshot = () => (taskId ? store.task(taskId) : NO_TASK);
  return useSyncExternalStore(watch, snapshot, () => (taskId ? LOADING_TASK : NO_TASK));
}

/**
 * Whether what is shown may be out of date, and what happens next. Renders once a second, but only
 * while a next try is waited for.
 * @returns {Offline}
 */
export function useOfflineDetection() {
  const { since, nextTryAt, retry } = useWebSocket();
  const networkOnline = useSyncExternalStore(onOnlineChange, isOnline, () => true);
  const secondsLeft = useSyncExternalStore(
    nextTryAt === undefined ? unwatched : everyTick,
    () => secondsUntil(nextTryAt),
    () => undefined,
  );
  return useMemo(
    () => ({ offline: since !== undefined, since, secondsLeft, networkOnline, retry }),
    [since, secondsLeft, networkOnline, retry],
  );
}

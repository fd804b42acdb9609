// @ts-check
// The hooks that components read. They hold no state: the store does, and notifies React of changes.

import { useCallback, useMemo, useSyncExternalStore } from "react";
import { everyTick, isOnline, onOnlineChange, secondsUntil } from "./machine.js";
import { useStore } from "./provider.js";
import { LOADING_DASHBOARD, LOADING_TASK, NO_TASK, NOBODY, NOT_YET_CONNECTED } from "./snapshots.js";

/** @typedef {import("./snapshots.js").Connection} Connection */
/** @typedef {import("./snapshots.js").DashboardSnapshot} DashboardSnapshot */
/** @typedef {import("./snapshots.js").TaskSnapshot} TaskSnapshot */
/** @typedef {import("../client/index.js").ServerMessage} ServerMessage */
/** @typedef {import("../client/index.js").Unsubscribe} Unsubscribe */

/**
 * `retry` connects now instead of waiting, also after a refusal. `onMessage` calls back for every message, for toasts
 * and sounds; call it in an effect, and return the function it returns. Both functions keep their identity.
 * @typedef {Connection & {
 *   retry: () => void,
 *   onMessage: (listener: (message: ServerMessage) => void) => Unsubscribe,
 * }} WebSocketState
 */

/**
 * @typedef {object} Offline
 * @property {boolean} offline whether the page may be out of date, because there is no connection or the relay is
 *   behind. False during the first attempt, and while a WebSocket or polling is current.
 * @property {number} [since] when that began, in ms since the epoch
 * @property {number} [secondsLeft] until the next attempt
 * @property {boolean} networkOnline whether the browser reports a network
 * @property {() => void} retry connects now
 */

const nothing = () => {};
const unwatched = () => nothing;

/**
 * The state of the connection; unless it is `live`, also the reason and the time of the next attempt.
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
 * All visible tasks, newest first, while this component is mounted. Arrays and objects keep their identity until they
 * change, so filter and sort in `useMemo`, and show a task in a component made with `memo`.
 * @param {{limit?: number | undefined}} [options] how many of the newest tasks a state contains; the first component decides
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
 * One task with its events, while this component is mounted. Without an id, its state is `none`.
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
 * What this user has of the claims that tasks wait for, as `{sub: ["alice"]}`, for `sectionOf(task, me)` of the view.
 * An empty object until the relay has said so; the same object until it changes.
 * @returns {import("../client/index.js").Claims}
 */
export function useMe() {
  const store = useStore();
  return useSyncExternalStore(store.watchConnection, () => store.me, () => NOBODY);
}

/**
 * Whether the page may be out of date, and what happens next. Renders once a second while the connection waits for its
 * next attempt, and otherwise only when something changes.
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

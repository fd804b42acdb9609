// @ts-check
// The hooks that components read. They hold no state: the store does, and notifies React of changes.

import { useEffect, useInsertionEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { loadingList, loadingTask, noTask, useChosen, useList, useTask } from "./joins.js";
import { everyTick, isOnline, onOnlineChange, secondsUntil } from "./machine.js";
import { useStore } from "./provider.js";
import { useSelected } from "./selector.js";
import { NOBODY, NOT_YET_CONNECTED } from "./snapshots.js";

/** @typedef {import("./snapshots.js").Connection} Connection */
/** @typedef {import("./snapshots.js").DashboardSnapshot} DashboardSnapshot */
/** @typedef {import("./snapshots.js").TaskSnapshot} TaskSnapshot */
/** @typedef {import("../client/index.js").MessageType} MessageType */
/** @typedef {import("../client/index.js").Relay} Relay */
/** @typedef {import("../client/index.js").SelectOptions} SelectOptions */
/**
 * @template {MessageType} K
 * @typedef {import("../client/index.js").MessageData<K>} MessageData
 */
/**
 * @template {MessageType} K
 * @typedef {import("../client/index.js").MessageOf<K>} MessageOf
 */
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
 * @template [S=WebSocketState]
 * @param {(connection: WebSocketState) => S} [select] a part of it: the component renders only when that part changes
 * @returns {S}
 */
export function useWebSocket(select) {
  const store = useStore();
  const [read, readOnServer] = useMemo(() => {
    const { retry, onMessage } = store;
    /** @type {WebSocketState} */
    const first = { ...NOT_YET_CONNECTED, retry, onMessage };
    let [connection, shown] = [NOT_YET_CONNECTED, first];
    const current = () => {
      if (store.connection !== connection) {
        connection = store.connection;
        shown = { ...connection, retry, onMessage };
      }
      return shown;
    };
    return [current, () => first];
  }, [store]);
  return useSelected(store.watchConnection, read, readOnServer, select);
}

/**
 * All visible tasks, newest first, while this component is mounted. Arrays and objects keep their identity until they
 * change, so filter and sort in `useMemo` or `useTasks`, and show a task in a component made with `memo`.
 * @template [S=DashboardSnapshot]
 * @param {{limit?: number | undefined}} [options] how many of the newest tasks a state contains; the first component
 *   decides
 * @param {(list: DashboardSnapshot) => S} [select] a part of it: the component renders only when that part changes
 * @returns {S}
 */
export function useDashboardSubscription({ limit } = {}, select) {
  const { watch, read } = useList(limit);
  return useSelected(watch, read, loadingList, select);
}

/**
 * The visible tasks that `where` keeps, in the order of `orderBy` (newest first without it), at most `limit`. The
 * component renders only when these change. The functions have to be pure, and may be others at each render.
 * @param {SelectOptions} [options]
 * @returns {DashboardSnapshot}
 */
export function useTasks(options) {
  const { watch, read } = useList();
  return useSelected(watch, read, loadingList, useChosen(options));
}

/**
 * One task with its events, while this component is mounted. Without an id, its state is `none`.
 * @template [S=TaskSnapshot]
 * @param {string | null | undefined} taskId
 * @param {(task: TaskSnapshot) => S} [select] a part of it: the component renders only when that part changes
 * @returns {S}
 */
export function useTaskSubscription(taskId, select) {
  const { watch, read } = useTask(taskId);
  return useSelected(watch, read, taskId ? loadingTask : noTask, select);
}

/**
 * The connection itself, for what no hook offers; null until there is one. Another one after another address or user.
 * Do not close it: the provider does, or whoever made it.
 * @returns {Relay | null}
 */
export function useRelay() {
  const store = useStore();
  return useSyncExternalStore(store.watchConnection, () => store.relay, () => null);
}

/**
 * Calls back for every message of one type while this component is mounted, for toasts and sounds. The listener may be
 * another function at each render.
 * @template {MessageType} K
 * @param {K} type
 * @param {(data: MessageData<K>, message: MessageOf<K>) => void} listener
 */
export function useMessage(type, listener) {
  const store = useStore();
  const latest = useRef(listener);
  useInsertionEffect(() => {
    latest.current = listener;
  });
  useEffect(() => store.onMessage((message) => {
    if (message.type !== type) return;
    const known = /** @type {MessageOf<K>} */ (message);
    latest.current(known.data, known);
  }), [store, type]);
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

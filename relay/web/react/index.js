// @ts-check
"use client";
// The client for React: a provider with one connection, and hooks that read its lists and tasks.
//
//   <RelayProvider url="/ws" token={() => session.freshToken()}>
//     <ConnectionStatus />
//     <Tasks />            const { tasks } = useDashboardSubscription();
//   </RelayProvider>
//
// Any number of components may read the same task: it is joined once, and left after the last one is unmounted.

/** @typedef {import("./snapshots.js").Connection} Connection */
/** @typedef {import("./snapshots.js").DashboardSnapshot} DashboardSnapshot */
/**
 * @template [E=import("../client/index.js").AnyEvents]
 * @typedef {import("./snapshots.js").TaskSnapshot<E>} TaskSnapshot
 */
/** @typedef {import("./provider.js").RelayProviderProps} RelayProviderProps */
/**
 * @template {import("../client/index.js").ApplicationTypes} T
 * @typedef {import("./typed.js").TypedHooks<T>} TypedHooks
 */
/**
 * @template {import("../client/index.js").ApplicationTypes} T
 * @typedef {import("./typed.js").TypedTask<T>} TypedTask
 */
/** @typedef {import("./hooks.js").WebSocketState} WebSocketState */
/** @typedef {import("./hooks.js").Offline} Offline */

export { ConnectionStatus, OfflineBanner } from "./components.js";
export {
  useDashboardSubscription, useMe, useMessage, useOfflineDetection, useRelay, useTasks, useTaskSubscription, useWebSocket,
} from "./hooks.js";
export { RelayProvider } from "./provider.js";
export { typedHooks } from "./typed.js";

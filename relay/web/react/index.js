// @ts-check
"use client";
// The relay for React: one connection for the tree under a provider, and hooks that show what it says.
//
//   <RelayProvider url="/ws" token={() => session.freshToken()}>
//     <ConnectionStatus />
//     <Tasks />            const { tasks } = useDashboardSubscription();
//   </RelayProvider>
//
// Any number of components may ask for the same task: it is joined once, and left after the last.

/** @typedef {import("./snapshots.js").Connection} Connection */
/** @typedef {import("./snapshots.js").DashboardSnapshot} DashboardSnapshot */
/** @typedef {import("./snapshots.js").TaskSnapshot} TaskSnapshot */
/** @typedef {import("./provider.js").RelayProviderProps} RelayProviderProps */
/** @typedef {import("./hooks.js").WebSocketState} WebSocketState */
/** @typedef {import("./hooks.js").Offline} Offline */

export { ConnectionStatus, OfflineBanner } from "./components.js";
export { useDashboardSubscription, useOfflineDetection, useTaskSubscription, useWebSocket } from "./hooks.js";
export { RelayProvider } from "./provider.js";

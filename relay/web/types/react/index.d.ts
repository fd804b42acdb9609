export { RelayProvider } from "./provider.js";
export type Connection = import("./snapshots.js").Connection;
export type DashboardSnapshot = import("./snapshots.js").DashboardSnapshot;
export type TaskSnapshot = import("./snapshots.js").TaskSnapshot;
export type RelayProviderProps = import("./provider.js").RelayProviderProps;
export type WebSocketState = import("./hooks.js").WebSocketState;
export type Offline = import("./hooks.js").Offline;
export { ConnectionStatus, OfflineBanner } from "./components.js";
export { useDashboardSubscription, useMe, useOfflineDetection, useTaskSubscription, useWebSocket } from "./hooks.js";

/** @param {number} [limit] */
export function useList(limit?: number): {
    store: import("./store.js").Store;
    watch: (listener: () => void) => import("../client/listeners.js").Unsubscribe;
    read: () => import("./snapshots.js").DashboardSnapshot;
};
/** @param {string | null | undefined} taskId */
export function useTask(taskId: string | null | undefined): {
    store: import("./store.js").Store;
    watch: (listener: () => void) => import("../client/listeners.js").Unsubscribe;
    read: () => import("./snapshots.js").TaskSnapshot<import("../client/messages.js").AnyEvents>;
};
/**
 * A function that chooses tasks of a list. Its result keeps its identity while the tasks are the same.
 * @param {SelectOptions} [options]
 */
export function useChosen({ where, orderBy, limit }?: SelectOptions): (list: DashboardSnapshot) => {
    state: import("../client/task-list.js").ListState;
    tasks: readonly import("../client/messages.js").TaskSummary[];
};
export function loadingList(): import("./snapshots.js").DashboardSnapshot;
export function loadingTask(): import("./snapshots.js").TaskSnapshot<import("../client/messages.js").AnyEvents>;
export function noTask(): import("./snapshots.js").TaskSnapshot<import("../client/messages.js").AnyEvents>;
import type { DashboardSnapshot } from "./snapshots.js";
export type { DashboardSnapshot };
import type { TaskSnapshot } from "./snapshots.js";
export type { TaskSnapshot };
import type { SelectOptions } from "../client/index.js";
export type { SelectOptions };

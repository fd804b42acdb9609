/** @typedef {import("./snapshots.js").DashboardSnapshot} DashboardSnapshot */
/** @typedef {import("./snapshots.js").TaskSnapshot} TaskSnapshot */
/** @typedef {import("../client/index.js").SelectOptions} SelectOptions */
/**
 * As `useDashboardSubscription`, but waits for the list.
 * @template [S=DashboardSnapshot]
 * @param {{limit?: number | undefined}} [options]
 * @param {(list: DashboardSnapshot) => S} [select]
 * @returns {S}
 */
export function useDashboardSubscription<S = import("./snapshots.js").DashboardSnapshot>({ limit }?: {
    limit?: number | undefined;
}, select?: (list: DashboardSnapshot) => S): S;
/**
 * As `useTasks`, but waits for the list.
 * @param {SelectOptions} [options]
 * @returns {DashboardSnapshot}
 */
export function useTasks(options?: SelectOptions): DashboardSnapshot;
/**
 * As `useTaskSubscription`, but waits for the task.
 * @template [S=TaskSnapshot]
 * @param {string | null | undefined} taskId
 * @param {(task: TaskSnapshot) => S} [select]
 * @returns {S}
 */
export function useTaskSubscription<S = import("./snapshots.js").TaskSnapshot<import("../client/messages.js").AnyEvents>>(taskId: string | null | undefined, select?: (task: TaskSnapshot) => S): S;
import type { DashboardSnapshot } from "./snapshots.js";
export type { DashboardSnapshot };
import type { TaskSnapshot } from "./snapshots.js";
export type { TaskSnapshot };
import type { SelectOptions } from "../client/index.js";
export type { SelectOptions };

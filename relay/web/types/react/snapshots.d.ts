/**
 * The connection after a change of its status. A new attempt neither starts nor ends the time out of date.
 * @param {Connection} before
 * @param {Status} status
 * @param {number} now
 * @returns {Connection}
 */
export function connectionAfter(before: Connection, status: Status, now: number): Connection;
/**
 * @param {number} [limit]
 * @returns {Source<TaskList, DashboardSnapshot>}
 */
export function dashboardSource(limit?: number): Source<TaskList, DashboardSnapshot>;
/**
 * @param {string} taskId
 * @returns {Source<Timeline, TaskSnapshot>}
 */
export function taskSource(taskId: string): Source<Timeline, TaskSnapshot>;
/** @type {Connection} */
export const NOT_YET_CONNECTED: Connection;
/** @type {import("../client/index.js").Claims} */
export const NOBODY: import("../client/index.js").Claims;
/** @type {DashboardSnapshot} */
export const LOADING_DASHBOARD: DashboardSnapshot;
/** @type {TaskSnapshot} */
export const LOADING_TASK: TaskSnapshot;
/** @type {TaskSnapshot} */
export const NO_TASK: TaskSnapshot;
import type { AnyEvents } from "../client/index.js";
export type { AnyEvents };
import type { ListState } from "../client/index.js";
export type { ListState };
import type { Status } from "../client/index.js";
export type { Status };
import type { TaskList } from "../client/index.js";
export type { TaskList };
import type { TaskSummary } from "../client/index.js";
export type { TaskSummary };
import type { Timeline } from "../client/index.js";
export type { Timeline };
import type { TimelineState } from "../client/index.js";
export type { TimelineState };
import type { Event } from "../client/index.js";
export type { Event };
import type { Source } from "./subscription.js";
export type { Source };
/**
 * A status of the client. `since`: when the page began to be out of date, in ms since the epoch.
 */
export type Connection = Readonly<Status & {
    since?: number;
}>;
/**
 * `state` as in the client's `TaskList`: `loading`, `ready`, or the code of a refusal.
 */
export type DashboardSnapshot = {
    readonly state: ListState;
    readonly tasks: readonly TaskSummary[];
};
/**
 * `state` as in the client's `Timeline` (`loading`, `ready`, `deleted`, `revoked`, or the code of a refusal), or `none`
 * without a task id.
 */
export type TaskSnapshot<E = import("../client/messages.js").AnyEvents> = {
    readonly state: TimelineState | "none";
    readonly task: TaskSummary | null;
    readonly events: readonly (Event<E> | null)[];
};

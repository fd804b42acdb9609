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
export type AnyEvents = import("../client/index.js").AnyEvents;
export type ListState = import("../client/index.js").ListState;
export type Status = import("../client/index.js").Status;
export type TaskList = import("../client/index.js").TaskList;
export type TaskSummary = import("../client/index.js").TaskSummary;
export type Timeline = import("../client/index.js").Timeline;
export type TimelineState = import("../client/index.js").TimelineState;
export type Event<E = import("../client/messages.js").AnyEvents> = import("../client/index.js").Event<E>;
export type Source<V extends import("./subscription.js").View, S> = import("./subscription.js").Source<V, S>;
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

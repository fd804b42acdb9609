/**
 * The tasks that these options choose, in their order.
 * @param {readonly TaskSummary[]} tasks
 * @param {SelectOptions} options
 */
export function chosen(tasks: readonly TaskSummary[], { where, orderBy, limit }: SelectOptions): import("./messages.js").TaskSummary[];
/** @typedef {import("./messages.js").TaskSummary} TaskSummary */
/**
 * `where` keeps a task; without it all are kept. `orderBy` compares two tasks as for `Array.sort`; without it the order
 * is newest first. `limit` keeps only the first ones.
 * @typedef {object} SelectOptions
 * @property {((task: TaskSummary) => boolean) | undefined} [where]
 * @property {((a: TaskSummary, b: TaskSummary) => number) | undefined} [orderBy]
 * @property {number | undefined} [limit]
 */
/**
 * A change of a selection: its tasks now, and the difference to its tasks before. `moved`: tasks that were in it before
 * have another order now.
 * @typedef {object} SelectionChange
 * @property {readonly TaskSummary[]} tasks
 * @property {readonly TaskSummary[]} added
 * @property {readonly TaskSummary[]} updated
 * @property {readonly TaskSummary[]} removed in their last version
 * @property {boolean} moved
 */
export class Selection {
    /**
     * @param {import("./task-list.js").TaskList} list
     * @param {SelectOptions} [options]
     */
    constructor(list: import("./task-list.js").TaskList, options?: SelectOptions);
    /** @type {readonly TaskSummary[]} Read only. The array stays the same object until something changes. */
    tasks: readonly TaskSummary[];
    /**
     * @param {(change: SelectionChange) => void} listener
     * @returns {import("./listeners.js").Unsubscribe}
     */
    onChange(listener: (change: SelectionChange) => void): import("./listeners.js").Unsubscribe;
    /**
     * Replaces the options, as when a person types into a filter.
     * @param {SelectOptions} options
     */
    choose(options: SelectOptions): void;
    /** Stops following the list. */
    close(): void;
    #private;
}
import type { TaskSummary } from "./messages.js";
export type { TaskSummary };
/**
 * `where` keeps a task; without it all are kept. `orderBy` compares two tasks as for `Array.sort`; without it the order
 * is newest first. `limit` keeps only the first ones.
 */
export type SelectOptions = {
    where?: ((task: TaskSummary) => boolean) | undefined;
    orderBy?: ((a: TaskSummary, b: TaskSummary) => number) | undefined;
    limit?: number | undefined;
};
/**
 * A change of a selection: its tasks now, and the difference to its tasks before. `moved`: tasks that were in it before
 * have another order now.
 */
export type SelectionChange = {
    tasks: readonly TaskSummary[];
    added: readonly TaskSummary[];
    updated: readonly TaskSummary[];
    /**
     * in their last version
     */
    removed: readonly TaskSummary[];
    moved: boolean;
};

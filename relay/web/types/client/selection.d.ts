/** @typedef {import("./messages.js").TaskSummary} TaskSummary */
/**
 * `where` chooses, all if it is not given; `orderBy` compares as for `Array.sort`, newest first if
 * it is not given; of what is left the first `limit` stay.
 * @typedef {object} SelectOptions
 * @property {(task: TaskSummary) => boolean} [where]
 * @property {(a: TaskSummary, b: TaskSummary) => number} [orderBy]
 * @property {number} [limit]
 */
/**
 * What became of a selection: all of it now, and by which tasks that differs from before. `moved`:
 * tasks that were there stand in another order.
 * @typedef {object} SelectionChange
 * @property {readonly TaskSummary[]} tasks
 * @property {readonly TaskSummary[]} added
 * @property {readonly TaskSummary[]} updated
 * @property {readonly TaskSummary[]} removed as they were
 * @property {boolean} moved
 */
export class Selection {
    /**
     * @param {import("./task-list.js").TaskList} list
     * @param {SelectOptions} [options]
     */
    constructor(list: import("./task-list.js").TaskList, options?: SelectOptions);
    /** @type {readonly TaskSummary[]} The same array until something changes; do not modify it. */
    tasks: readonly TaskSummary[];
    /**
     * @param {(change: SelectionChange) => void} listener
     * @returns {import("./listeners.js").Unsubscribe}
     */
    onChange(listener: (change: SelectionChange) => void): import("./listeners.js").Unsubscribe;
    /**
     * Other options in place of those there were: as when a person types into a filter.
     * @param {SelectOptions} options
     */
    choose(options: SelectOptions): void;
    /** It changes no more. */
    close(): void;
    #private;
}
export type TaskSummary = import("./messages.js").TaskSummary;
/**
 * `where` chooses, all if it is not given; `orderBy` compares as for `Array.sort`, newest first if
 * it is not given; of what is left the first `limit` stay.
 */
export type SelectOptions = {
    where?: ((task: TaskSummary) => boolean) | undefined;
    orderBy?: ((a: TaskSummary, b: TaskSummary) => number) | undefined;
    limit?: number | undefined;
};
/**
 * What became of a selection: all of it now, and by which tasks that differs from before. `moved`:
 * tasks that were there stand in another order.
 */
export type SelectionChange = {
    tasks: readonly TaskSummary[];
    added: readonly TaskSummary[];
    updated: readonly TaskSummary[];
    /**
     * as they were
     */
    removed: readonly TaskSummary[];
    moved: boolean;
};

export class TaskList {
    /**
     * `loading` until the first state is complete, then `ready`; otherwise the code of the error
     * that refused the join.
     * @type {string}
     */
    state: string;
    /** Grows with every change: equal versions, equal content. */
    version: number;
    /**
     * All tasks, newest first. The same array until something changes, and in it the same objects for
     * the tasks that did not; do not modify them.
     */
    get tasks(): readonly import("./messages.js").TaskSummary[];
    /** How many tasks it has. */
    get size(): number;
    /** @param {string} taskId */
    get(taskId: string): import("./messages.js").TaskSummary | undefined;
    /**
     * @param {(list: TaskList) => void} listener
     * @returns {import("./listeners.js").Unsubscribe}
     */
    onChange(listener: (list: TaskList) => void): import("./listeners.js").Unsubscribe;
    /**
     * A part of this list that stays filtered and sorted, and tells what changed.
     * @param {import("./selection.js").SelectOptions} [options]
     */
    select(options?: import("./selection.js").SelectOptions): Selection;
    /**
     * A page of a state. What was there stays readable until the last page replaces it.
     * @param {DashboardState} page
     */
    replace({ tasks, reset, more }: DashboardState): void;
    /** @param {ListUpserted | ListRemoved} update */
    update(update: ListUpserted | ListRemoved): void;
    /**
     * The join was refused for good.
     * @param {string} code
     */
    end(code: string): void;
    #private;
}
export type TaskSummary = import("./messages.js").TaskSummary;
export type DashboardState = import("./messages.js").DashboardState;
export type ListUpserted = import("./messages.js").ListUpserted;
export type ListRemoved = import("./messages.js").ListRemoved;
import { Selection } from "./selection.js";

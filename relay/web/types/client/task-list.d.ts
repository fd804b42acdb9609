export class TaskList {
    /** @type {ListState} */
    state: ListState;
    /** Grows with every change: while it is the same, so is the content. */
    version: number;
    /**
     * All tasks, newest first. Read only. The array stays the same object until something changes, and a task that did
     * not change stays the same object as well.
     */
    get tasks(): readonly import("./messages.js").TaskSummary[];
    /** The number of tasks. */
    get size(): number;
    /** @param {string} taskId */
    get(taskId: string): import("./messages.js").TaskSummary | undefined;
    /**
     * @param {(list: TaskList) => void} listener
     * @returns {import("./listeners.js").Unsubscribe}
     */
    onChange(listener: (list: TaskList) => void): import("./listeners.js").Unsubscribe;
    /**
     * A part of this list that stays filtered and sorted, and reports what changed.
     * @param {import("./selection.js").SelectOptions} [options]
     */
    select(options?: import("./selection.js").SelectOptions): Selection;
    #private;
}
import type { ErrorCode } from "./messages.js";
export type { ErrorCode };
import type { TaskSummary } from "./messages.js";
export type { TaskSummary };
import type { DashboardState } from "./messages.js";
export type { DashboardState };
import type { ListUpserted } from "./messages.js";
export type { ListUpserted };
import type { ListRemoved } from "./messages.js";
export type { ListRemoved };
/**
 * `loading` until the first state is complete, then `ready`; or the code of the error that refused the join. A newer
 * relay may have other codes.
 */
export type ListState = "loading" | "ready" | ErrorCode;
import { Selection } from "./selection.js";

export class Tasks {
    /** The summaries of all visible tasks, newest first as a list has them. */
    get summaries(): import("../client/messages.js").TaskSummary[];
    /** @param {string} taskId */
    isVisible(taskId: string): boolean;
    /**
     * The state of a visible task, from a position on.
     * @param {string} taskId
     * @param {{since?: number | null, head?: string | null}} position
     * @returns {import("../client/messages.js").TaskState}
     */
    state(taskId: string, { since, head }: {
        since?: number | null;
        head?: string | null;
    }): import("../client/messages.js").TaskState;
    /**
     * Adds a task. Throws if there is one with this id.
     * @param {GivenTask} given
     * @returns {Told[]}
     */
    add({ taskId, events, ...fields }: GivenTask): Told[];
    /**
     * Appends events and sets fields, in one change.
     * @param {string} taskId
     * @param {readonly WrittenEvent[]} events
     * @param {TaskFields} fields
     * @returns {Told[]}
     */
    change(taskId: string, events: readonly WrittenEvent[], fields: TaskFields): Told[];
    /**
     * Deletes a task.
     * @param {string} taskId
     * @returns {Told[]}
     */
    remove(taskId: string): Told[];
    /**
     * Hides a task from the user, or shows it again.
     * @param {string} taskId
     * @param {boolean} isVisible
     * @returns {Told[]}
     */
    show(taskId: string, isVisible: boolean): Told[];
    #private;
}
import type { AnyEvents } from "../client/messages.js";
export type { AnyEvents };
import type { Event } from "../client/messages.js";
export type { Event };
import type { TaskSummary } from "../client/messages.js";
export type { TaskSummary };
import type { Stage } from "./stages.js";
export type { Stage };
/**
 * What a test may set of a task: its summary, as lists show it. `stage` follows from `status`, and `waitsFor` names the
 * creator where a task waits, unless the test says otherwise. A field that is undefined is absent.
 */
export type TaskFields = { [K in Exclude<keyof TaskSummary, "taskId" | "eventCount">]?: TaskSummary[K] | Date | undefined; };
/**
 * An event as a writer pushes it into the array of a task: `{type: "note", text: "Hello"}`. `at` is its time.
 */
export type WrittenEvent<E = import("../client/messages.js").AnyEvents> = string extends keyof E ? {
    type: string;
    at?: string | Date;
    [field: string]: unknown;
} : { [K in keyof E & string]: {
    type: K;
    at?: string | Date;
} & E[K]; }[keyof E & string];
export type GivenTask<E = import("../client/messages.js").AnyEvents> = TaskFields & {
    taskId: string;
    events?: readonly WrittenEvent<E>[] | undefined;
};
export type Told = {
    type: string;
    data: any;
    list: boolean;
    room: boolean;
};
export type Stored = {
    fields: TaskFields;
    events: Event[];
    last: Stage | undefined;
    isVisible: boolean;
    life: number;
};

/** @typedef {import("./messages.js").TaskSummary} TaskSummary */
/** @typedef {import("./messages.js").Event} Event */
/** @typedef {import("./messages.js").TaskState} TaskState */
/** @typedef {import("./messages.js").EventAdded} EventAdded */
export class Timeline {
    /** @param {string} taskId */
    constructor(taskId: string);
    /**
     * `loading` until the first state is complete, then `ready`; `deleted` or `revoked` when the
     * task went away; otherwise the code of the error that refused the join (`forbidden`, …).
     * @type {string}
     */
    state: string;
    /** Grows with every change: equal versions, equal content. */
    version: number;
    /** @type {TaskSummary | null} */
    task: TaskSummary | null;
    /**
     * The events by their index. Do not modify; an element that changes is another object.
     * @type {(Event | null)[]}
     */
    events: (Event | null)[];
    taskId: string;
    /** Whether it holds nothing of the task. */
    get isEmpty(): boolean;
    /** What a join continues from; empty when everything is wanted. */
    get position(): {
        since?: undefined;
        head?: undefined;
    } | {
        since: number;
        head: string;
    };
    /**
     * @param {(timeline: Timeline) => void} listener
     * @returns {import("./listeners.js").Unsubscribe}
     */
    onChange(listener: (timeline: Timeline) => void): import("./listeners.js").Unsubscribe;
    /**
     * A page of a state.
     * @param {TaskState} page
     * @returns {boolean} false if it continues from events we do not hold
     */
    replace({ task, events, from, head, more }: TaskState): boolean;
    /**
     * @param {EventAdded} added
     * @returns {boolean} false if it is not the next one
     */
    append({ index, event, head }: EventAdded): boolean;
    /** @param {TaskSummary} task */
    summarize(task: TaskSummary): void;
    /** Our position is no good: the next join asks for everything. */
    losePosition(): void;
    /**
     * The task is not, or no longer, ours to see; what it held is dropped.
     * @param {string} state
     */
    end(state: string): void;
    #private;
}
export type TaskSummary = import("./messages.js").TaskSummary;
export type Event = import("./messages.js").Event;
export type TaskState = import("./messages.js").TaskState;
export type EventAdded = import("./messages.js").EventAdded;

/** @typedef {import("./messages.js").TaskSummary} TaskSummary */
/** @typedef {import("./messages.js").Event} Event */
/** @typedef {import("./messages.js").TaskState} TaskState */
/** @typedef {import("./messages.js").EventAdded} EventAdded */
export class Timeline {
    /** @param {string} taskId */
    constructor(taskId: string);
    /**
     * `loading` until the first state is complete, then `ready`. Afterwards `deleted`, or `revoked` when the user may no
     * longer see the task; or the code of the error that refused the join, such as `forbidden`.
     * @type {string}
     */
    state: string;
    /** Grows with every change: while it is the same, so is the content. */
    version: number;
    /** @type {TaskSummary | null} */
    task: TaskSummary | null;
    /**
     * The events by their index. Read only. An element that changes becomes another object.
     * @type {(Event | null)[]}
     */
    events: (Event | null)[];
    taskId: string;
    /** Whether nothing of the task is here. */
    get isEmpty(): boolean;
    /** The position a join continues from; empty to join from the beginning. */
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
     * Applies a page of a state.
     * @param {TaskState} page
     * @returns {boolean} false if it continues from events that are not here
     */
    replace({ task, events, from, head, more }: TaskState): boolean;
    /**
     * Adds an event.
     * @param {EventAdded} added
     * @returns {boolean} false if it is not the next one
     */
    append({ index, event, head }: EventAdded): boolean;
    /**
     * Replaces the summary.
     * @param {TaskSummary} task
     */
    summarize(task: TaskSummary): void;
    /** Forgets the position, which the relay's messages do not continue: the next join starts at the beginning. */
    losePosition(): void;
    /**
     * Ends the timeline, because the user may not see the task. Everything of it is dropped.
     * @param {string} state
     */
    end(state: string): void;
    #private;
}
export type TaskSummary = import("./messages.js").TaskSummary;
export type Event = import("./messages.js").Event;
export type TaskState = import("./messages.js").TaskState;
export type EventAdded = import("./messages.js").EventAdded;

/** @typedef {import("./messages.js").AnyEvents} AnyEvents */
/** @typedef {import("./messages.js").ErrorCode} ErrorCode */
/** @typedef {import("./messages.js").TaskSummary} TaskSummary */
/**
 * @template [E=AnyEvents]
 * @typedef {import("./messages.js").Event<E>} Event
 */
/**
 * `loading` until the first state is complete, then `ready`. Afterwards `deleted`, or `revoked` when the user may no
 * longer see the task; or the code of the error that refused the join, such as `forbidden`. A newer relay may have other
 * codes.
 * @typedef {"loading" | "ready" | "deleted" | "revoked" | ErrorCode} TimelineState
 */
/** @template [E=AnyEvents] */
export class Timeline<E = import("./messages.js").AnyEvents> {
    /** @param {string} taskId */
    constructor(taskId: string);
    /** @type {TimelineState} */
    state: TimelineState;
    /** Grows with every change: while it is the same, so is the content. */
    version: number;
    /** @type {TaskSummary | null} */
    task: TaskSummary | null;
    /**
     * The events by their index. Read only. An element that changes becomes another object.
     * @type {(Event<E> | null)[]}
     */
    events: (Event<E> | null)[];
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
     * @param {(timeline: Timeline<E>) => void} listener
     * @returns {import("./listeners.js").Unsubscribe}
     */
    onChange(listener: (timeline: Timeline<E>) => void): import("./listeners.js").Unsubscribe;
    /**
     * Applies a page of a state.
     * @param {import("./messages.js").TaskState<E>} page
     * @returns {boolean} false if it continues from events that are not here
     */
    replace({ task, events, from, head, more }: import("./messages.js").TaskState<E>): boolean;
    /**
     * Adds an event.
     * @param {import("./messages.js").EventAdded<E>} added
     * @returns {boolean} false if it is not the next one
     */
    append({ index, event, head }: import("./messages.js").EventAdded<E>): boolean;
    /**
     * Replaces the summary.
     * @param {TaskSummary} task
     */
    summarize(task: TaskSummary): void;
    /** Forgets the position, which the relay's messages do not continue: the next join starts at the beginning. */
    losePosition(): void;
    /**
     * Ends the timeline, because the user may not see the task. Everything of it is dropped.
     * @param {Exclude<TimelineState, "loading" | "ready">} state
     */
    end(state: Exclude<TimelineState, "loading" | "ready">): void;
    #private;
}
export type AnyEvents = import("./messages.js").AnyEvents;
export type ErrorCode = import("./messages.js").ErrorCode;
export type TaskSummary = import("./messages.js").TaskSummary;
export type Event<E = import("./messages.js").AnyEvents> = import("./messages.js").Event<E>;
/**
 * `loading` until the first state is complete, then `ready`. Afterwards `deleted`, or `revoked` when the user may no
 * longer see the task; or the code of the error that refused the join, such as `forbidden`. A newer relay may have other
 * codes.
 */
export type TimelineState = "loading" | "ready" | "deleted" | "revoked" | ErrorCode;

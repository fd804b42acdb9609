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
    #private;
}
import type { AnyEvents } from "./messages.js";
export type { AnyEvents };
import type { ErrorCode } from "./messages.js";
export type { ErrorCode };
import type { TaskSummary } from "./messages.js";
export type { TaskSummary };
import type { Event } from "./messages.js";
export type { Event };
/**
 * `loading` until the first state is complete, then `ready`. Afterwards `deleted`, or `revoked` when the user may no
 * longer see the task; or the code of the error that refused the join, such as `forbidden`. A newer relay may have other
 * codes.
 */
export type TimelineState = "loading" | "ready" | "deleted" | "revoked" | ErrorCode;

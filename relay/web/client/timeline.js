// @ts-check
// One task with its events, and the position this client has reached in them (PROTOCOL.md section 6).

import { Listeners } from "./listeners.js";

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
export class Timeline {
  /** @type {TimelineState} */
  state = "loading";
  /** Grows with every change: while it is the same, so is the content. */
  version = 0;
  /** @type {TaskSummary | null} */
  task = null;
  /**
   * The events by their index. Read only. An element that changes becomes another object.
   * @type {(Event<E> | null)[]}
   */
  events = [];

  /** @type {string | null} */
  #head = null;
  /** @type {Listeners<Timeline<E>>} */
  #listeners = new Listeners();

  /** @param {string} taskId */
  constructor(taskId) {
    this.taskId = taskId;
  }

  /** Whether nothing of the task is here. */
  get isEmpty() {
    return this.task === null && this.events.length === 0 && this.#head === null;
  }

  /** The position a join continues from; empty to join from the beginning. */
  get position() {
    return this.#head === null ? {} : { since: this.events.length, head: this.#head };
  }

  /**
   * @param {(timeline: Timeline<E>) => void} listener
   * @returns {import("./listeners.js").Unsubscribe}
   */
  onChange(listener) {
    return this.#listeners.add(listener);
  }

  /**
   * Applies a page of a state.
   * @param {import("./messages.js").TaskState<E>} page
   * @returns {boolean} false if it continues from events that are not here
   * @internal
   */
  replace({ task, events, from, head, more }) {
    if (from > this.events.length) return false;
    this.events.length = from;
    for (const event of events) this.events.push(event);
    this.#head = head;
    this.task = task;
    if (!more) this.state = "ready";
    this.#changed();
    return true;
  }

  /**
   * Adds an event.
   * @param {import("./messages.js").EventAdded<E>} added
   * @returns {boolean} false if it is not the next one
   * @internal
   */
  append({ index, event, head }) {
    if (index !== this.events.length) return false;
    this.events.push(event);
    this.#head = head;
    this.#changed();
    return true;
  }

  /**
   * Replaces the summary.
   * @param {TaskSummary} task
   * @internal
   */
  summarize(task) {
    this.task = task;
    this.#changed();
  }

  /**
   * Forgets the position, which the relay's messages do not continue: the next join starts at the beginning.
   * @internal
   */
  losePosition() {
    this.#head = null;
  }

  /**
   * Ends the timeline, because the user may not see the task. Everything of it is dropped.
   * @param {Exclude<TimelineState, "loading" | "ready">} state
   * @internal
   */
  end(state) {
    // A later join of a deleted task is answered with "forbidden": keep "deleted", which says more.
    const saysLess = state === "forbidden" && (this.state === "deleted" || this.state === "revoked");
    const becomes = saysLess ? this.state : state;
    if (becomes === this.state && this.isEmpty) return;
    this.state = becomes;
    this.task = null;
    this.events = [];
    this.#head = null;
    this.#changed();
  }

  #changed() {
    this.version += 1;
    this.#listeners.emit(this);
  }
}

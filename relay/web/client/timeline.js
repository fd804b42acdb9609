// @ts-check
// One task with its events, and our position in them (PROTOCOL.md section 6).

import { Listeners } from "./listeners.js";

/** @typedef {import("./messages.js").TaskSummary} TaskSummary */
/** @typedef {import("./messages.js").Event} Event */
/** @typedef {import("./messages.js").TaskState} TaskState */
/** @typedef {import("./messages.js").EventAdded} EventAdded */

export class Timeline {
  /**
   * `loading` until the first state is complete, then `ready`; `deleted` or `revoked` when the
   * task went away; otherwise the code of the error that refused the join (`forbidden`, …).
   * @type {string}
   */
  state = "loading";
  /** Grows with every change: equal versions, equal content. */
  version = 0;
  /** @type {TaskSummary | null} */
  task = null;
  /**
   * The events by their index. Do not modify; an element that changes is another object.
   * @type {(Event | null)[]}
   */
  events = [];

  /** @type {string | null} */
  #head = null;
  /** @type {Listeners<Timeline>} */
  #listeners = new Listeners();

  /** @param {string} taskId */
  constructor(taskId) {
    this.taskId = taskId;
  }

  /** Whether it holds nothing of the task. */
  get isEmpty() {
    return this.task === null && this.events.length === 0 && this.#head === null;
  }

  /** What a join continues from; empty when everything is wanted. */
  get position() {
    return this.#head === null ? {} : { since: this.events.length, head: this.#head };
  }

  /**
   * @param {(timeline: Timeline) => void} listener
   * @returns {import("./listeners.js").Unsubscribe}
   */
  onChange(listener) {
    return this.#listeners.add(listener);
  }

  /**
   * A page of a state.
   * @param {TaskState} page
   * @returns {boolean} false if it continues from events we do not hold
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
   * @param {EventAdded} added
   * @returns {boolean} false if it is not the next one
   */
  append({ index, event, head }) {
    if (index !== this.events.length) return false;
    this.events.push(event);
    this.#head = head;
    this.#changed();
    return true;
  }

  /** @param {TaskSummary} task */
  summarize(task) {
    this.task = task;
    this.#changed();
  }

  /** Our position is no good: the next join asks for everything. */
  losePosition() {
    this.#head = null;
  }

  /**
   * The task is not, or no longer, ours to see; what it held is dropped.
   * @param {string} state
   */
  end(state) {
    // "deleted" says more than the "forbidden" a later join of the same task is answered with.
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
    this.#listeners.tell(this);
  }
}

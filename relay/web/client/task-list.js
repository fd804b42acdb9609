// @ts-check
// The tasks a dashboard shows, newest first, kept current by states and list updates.

import { Listeners } from "./listeners.js";
import { Selection } from "./selection.js";

/** @typedef {import("./messages.js").TaskSummary} TaskSummary */
/** @typedef {import("./messages.js").DashboardState} DashboardState */
/** @typedef {import("./messages.js").ListUpserted} ListUpserted */
/** @typedef {import("./messages.js").ListRemoved} ListRemoved */

const OBJECT_ID = /^[0-9a-f]{24}$/;

export class TaskList {
  /**
   * `loading` until the first state is complete, then `ready`; otherwise the code of the error
   * that refused the join.
   * @type {string}
   */
  state = "loading";
  /** Grows with every change: equal versions, equal content. */
  version = 0;

  /** @type {Map<string, TaskSummary>} */
  #byId = new Map();
  /** @type {Map<string, TaskSummary>} The pages of a state until its last one has come. */
  #incoming = new Map();
  /** @type {string[] | null} The ids, newest first; null when they may have another order now. */
  #order = null;
  /** @type {readonly TaskSummary[] | null} */
  #tasks = null;
  /** @type {Listeners<TaskList>} */
  #listeners = new Listeners();

  /**
   * All tasks, newest first. The same array until something changes, and in it the same objects for
   * the tasks that did not; do not modify them.
   */
  get tasks() {
    this.#order ??= newestFirst(this.#byId.values());
    this.#tasks ??= this.#order.flatMap((taskId) => this.#byId.get(taskId) ?? []);
    return this.#tasks;
  }

  /** How many tasks it has. */
  get size() {
    return this.#byId.size;
  }

  /** @param {string} taskId */
  get(taskId) {
    return this.#byId.get(taskId);
  }

  /**
   * @param {(list: TaskList) => void} listener
   * @returns {import("./listeners.js").Unsubscribe}
   */
  onChange(listener) {
    return this.#listeners.add(listener);
  }

  /**
   * A part of this list that stays filtered and sorted, and tells what changed.
   * @param {import("./selection.js").SelectOptions} [options]
   */
  select(options) {
    return new Selection(this, options);
  }

  /**
   * A page of a state. What was there stays readable until the last page replaces it.
   * @param {DashboardState} page
   */
  replace({ tasks, reset, more }) {
    if (reset) this.#incoming = new Map();
    for (const task of tasks) this.#incoming.set(task.taskId, this.#same(task));
    if (more) return;
    this.#byId = this.#incoming;
    this.#incoming = new Map();
    this.#order = null;
    this.state = "ready";
    this.#changed();
  }

  /** @param {ListUpserted | ListRemoved} update */
  update(update) {
    if (update.change === "upserted") {
      const { change, ...task } = update;
      const before = this.#byId.get(task.taskId);
      if (!before || before.createdAt !== task.createdAt) this.#order = null;
      this.#byId.set(task.taskId, task);
    } else if (!this.#byId.delete(update.taskId)) {
      return;
    }
    this.#changed();
  }

  /**
   * The join was refused for good.
   * @param {string} code
   */
  end(code) {
    this.#byId.clear();
    this.#incoming = new Map();
    this.state = code;
    this.#changed();
  }

  /**
   * The one we hold, where it says the same: who compares objects sees what changed.
   * @param {TaskSummary} task
   */
  #same(task) {
    const held = this.#byId.get(task.taskId);
    return held && JSON.stringify(held) === JSON.stringify(task) ? held : task;
  }

  #changed() {
    this.#tasks = null;
    this.version += 1;
    this.#listeners.tell(this);
  }
}

/**
 * @param {Iterable<TaskSummary>} tasks
 * @returns {string[]}
 */
function newestFirst(tasks) {
  return [...tasks]
    .map((task) => ({ task, born: bornAt(task) }))
    .sort((a, b) => b.born - a.born || (a.task.taskId < b.task.taskId ? 1 : -1))
    .map(({ task }) => task.taskId);
}

/**
 * An ObjectId begins with its second of birth and orders the list as the relay does; other ids
 * say nothing about age.
 * @param {TaskSummary} task
 */
function bornAt({ taskId, createdAt }) {
  if (OBJECT_ID.test(taskId)) return parseInt(taskId.slice(0, 8), 16) * 1000;
  return (createdAt && Date.parse(createdAt)) || 0;
}

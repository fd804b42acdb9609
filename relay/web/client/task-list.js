// @ts-check
// The list of all visible tasks, newest first. States and list updates keep it current.

import { Listeners } from "./listeners.js";
import { Selection } from "./selection.js";

/** @typedef {import("./messages.js").ErrorCode} ErrorCode */
/** @typedef {import("./messages.js").TaskSummary} TaskSummary */
/** @typedef {import("./messages.js").DashboardState} DashboardState */
/** @typedef {import("./messages.js").ListUpserted} ListUpserted */
/** @typedef {import("./messages.js").ListRemoved} ListRemoved */

/**
 * `loading` until the first state is complete, then `ready`; or the code of the error that refused the join. A newer
 * relay may have other codes.
 * @typedef {"loading" | "ready" | ErrorCode} ListState
 */

const OBJECT_ID = /^[0-9a-f]{24}$/;

export class TaskList {
  /** @type {ListState} */
  state = "loading";
  /** Grows with every change: while it is the same, so is the content. */
  version = 0;

  /** @type {Map<string, TaskSummary>} */
  #byId = new Map();
  /** @type {Map<string, TaskSummary>} The pages of a state, until the last one has arrived. */
  #incoming = new Map();
  /** @type {string[] | null} The ids, newest first; null when they have to be sorted again. */
  #order = null;
  /** @type {readonly TaskSummary[] | null} */
  #tasks = null;
  /** @type {Listeners<TaskList>} */
  #listeners = new Listeners();

  /**
   * All tasks, newest first. Read only. The array stays the same object until something changes, and a task that did
   * not change stays the same object as well.
   */
  get tasks() {
    this.#order ??= newestFirst(this.#byId.values());
    this.#tasks ??= this.#order.flatMap((taskId) => this.#byId.get(taskId) ?? []);
    return this.#tasks;
  }

  /** The number of tasks. */
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
   * A part of this list that stays filtered and sorted, and reports what changed.
   * @param {import("./selection.js").SelectOptions} [options]
   */
  select(options) {
    return new Selection(this, options);
  }

  /**
   * Applies a page of a state. The earlier list stays readable until the last page replaces it.
   * @param {DashboardState} page
   * @internal
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

  /**
   * Applies one change of the list.
   * @param {ListUpserted | ListRemoved} update
   * @internal
   */
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
   * Ends the list, because the relay refused the join for good.
   * @param {ErrorCode} code
   * @internal
   */
  end(code) {
    this.#byId.clear();
    this.#incoming = new Map();
    this.state = code;
    this.#changed();
  }

  /**
   * The object that is here already, if its content is the same: then comparing objects shows what changed.
   * @param {TaskSummary} task
   */
  #same(task) {
    const held = this.#byId.get(task.taskId);
    return held && JSON.stringify(held) === JSON.stringify(task) ? held : task;
  }

  #changed() {
    this.#tasks = null;
    this.version += 1;
    this.#listeners.emit(this);
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
 * When a task was created, in ms since the epoch. An ObjectId begins with its second of creation, and the relay orders
 * its list by it. Other ids say nothing about age, so `createdAt` counts.
 * @param {TaskSummary} task
 */
function bornAt({ taskId, createdAt }) {
  if (OBJECT_ID.test(taskId)) return parseInt(taskId.slice(0, 8), 16) * 1000;
  return (createdAt && Date.parse(createdAt)) || 0;
}

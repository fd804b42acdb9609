// @ts-check
// A part of a task list that stays filtered and sorted, and reports what changed.

import { Listeners } from "./listeners.js";

/** @typedef {import("./messages.js").TaskSummary} TaskSummary */

/**
 * `where` keeps a task; without it all are kept. `orderBy` compares two tasks as for `Array.sort`; without it the order
 * is newest first. `limit` keeps only the first ones.
 * @typedef {object} SelectOptions
 * @property {((task: TaskSummary) => boolean) | undefined} [where]
 * @property {((a: TaskSummary, b: TaskSummary) => number) | undefined} [orderBy]
 * @property {number | undefined} [limit]
 */

/**
 * A change of a selection: its tasks now, and the difference to its tasks before. `moved`: tasks that were in it before
 * have another order now.
 * @typedef {object} SelectionChange
 * @property {readonly TaskSummary[]} tasks
 * @property {readonly TaskSummary[]} added
 * @property {readonly TaskSummary[]} updated
 * @property {readonly TaskSummary[]} removed in their last version
 * @property {boolean} moved
 */

export class Selection {
  /** @type {readonly TaskSummary[]} Read only. The array stays the same object until something changes. */
  tasks = [];

  #list;
  #options;
  #unsubscribe;
  /** @type {Listeners<SelectionChange>} */
  #listeners = new Listeners();

  /**
   * @param {import("./task-list.js").TaskList} list
   * @param {SelectOptions} [options]
   */
  constructor(list, options = {}) {
    this.#list = list;
    this.#options = options;
    this.tasks = chosen(list.tasks, options);
    this.#unsubscribe = list.onChange(() => this.#update());
  }

  /**
   * @param {(change: SelectionChange) => void} listener
   * @returns {import("./listeners.js").Unsubscribe}
   */
  onChange(listener) {
    return this.#listeners.add(listener);
  }

  /**
   * Replaces the options, as when a person types into a filter.
   * @param {SelectOptions} options
   */
  choose(options) {
    this.#options = options;
    this.#update();
  }

  /** Stops following the list. */
  close() {
    this.#unsubscribe();
  }

  #update() {
    const change = difference(this.tasks, chosen(this.#list.tasks, this.#options));
    if (change === null) return;
    this.tasks = change.tasks;
    this.#listeners.emit(change);
  }
}

/**
 * The tasks that these options choose, in their order.
 * @param {readonly TaskSummary[]} tasks
 * @param {SelectOptions} options
 */
export function chosen(tasks, { where, orderBy, limit }) {
  const left = where ? tasks.filter(where) : [...tasks];
  if (orderBy) left.sort(orderBy);
  return limit === undefined ? left : left.slice(0, limit);
}

/**
 * @param {readonly TaskSummary[]} before
 * @param {readonly TaskSummary[]} tasks
 * @returns {SelectionChange | null} null where nothing differs
 */
function difference(before, tasks) {
  const held = new Map(before.map((task) => [task.taskId, task]));
  const now = new Set(tasks.map(({ taskId }) => taskId));
  const added = tasks.filter(({ taskId }) => !held.has(taskId));
  const updated = tasks.filter((task) => held.has(task.taskId) && held.get(task.taskId) !== task);
  const removed = before.filter(({ taskId }) => !now.has(taskId));
  const kept = tasks.filter(({ taskId }) => held.has(taskId));
  const moved = before
    .filter(({ taskId }) => now.has(taskId))
    .some(({ taskId }, index) => kept[index].taskId !== taskId);
  if (!moved && added.length + updated.length + removed.length === 0) return null;
  return { tasks, added, updated, removed, moved };
}

// @ts-check
// What the reader has seen of each task: a task is unread if it has changed since it was last open before their eyes.
//
// A mark is the state of a task that counts as read: how many events it had, its stage and its status. With the first
// list in a browser everything counts as read. Marks are remembered in the browser and shared between its tabs.

import { parseTime, stageOf } from "../view/index.js";
import { fitting, isPast, memory } from "./memory.js";
import { bornAt } from "./stays.js";

/** @import { TaskSummary } from "../client/index.js" */
/** @typedef {{since: number, isComplete: boolean, marks: Map<string, string>}} Stored */

const NAME = "marks";
const MARKS_MAX = 2_000; // of more, or with long ids, the oldest are forgotten; then the time of the last change decides
const SAVE_MS = 300;
const NEVER_SEEN = "";

export class Marks {
  /** @type {Map<string, string>} By task, the oldest mark first. */
  #marks = new Map();
  /**
   * The first look of this user in this browser, in ms since the epoch; null until the marks were read.
   * @type {number | null}
   */
  #since = null;
  /** Whether every task that is read has a mark, because none was forgotten yet. */
  #isComplete = true;
  /** @type {Map<string, string>} Marks that are not remembered yet. */
  #unsaved = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #saving;
  #changed = () => {};

  constructor() {
    memory.onChange(NAME, () => this.#readAgain());
    addEventListener("pagehide", () => this.#saveNow());
  }

  /** @param {() => void} listener called when another tab has changed the marks */
  onChange(listener) {
    this.#changed = listener;
  }

  /**
   * Reads the marks of the user who is signed in now; on the first visit, everything counts as read.
   * @param {readonly TaskSummary[]} tasks all tasks, newest first
   */
  begin(tasks) {
    if (this.#since !== null) return;
    const stored = remembered();
    this.#marks = stored?.marks ?? new Map();
    this.#since = stored?.since ?? Date.now();
    this.#isComplete = stored?.isComplete ?? tasks.length <= MARKS_MAX;
    if (stored) return;
    this.#set(tasks.slice(0, MARKS_MAX).reverse().map((task) => [task.taskId, stateOf(task)]));
    this.#saveSoon(); // also without a task
  }

  /** @param {TaskSummary} task */
  isUnread(task) {
    const mark = this.#marks.get(task.taskId);
    if (mark !== undefined) return mark !== stateOf(task);
    if (this.#isComplete) return this.#since !== null;
    const times = [parseTime(task.updatedAt), parseTime(task.createdAt), bornAt(task)];
    return Math.max(...times.map((time) => time ?? 0)) > (this.#since ?? Infinity);
  }

  /**
   * The reader has seen these tasks as they are now.
   * @param {TaskSummary[]} tasks
   */
  read(tasks) {
    this.#set(tasks.filter((task) => this.#marks.get(task.taskId) !== stateOf(task))
      .map((task) => [task.taskId, stateOf(task)]));
  }

  /**
   * A task has come while the reader was here: it is unread, also once marks were forgotten, whatever the clocks of the
   * writers say.
   * @param {TaskSummary} task
   */
  arrived({ taskId }) {
    if (!this.#marks.has(taskId)) this.#set([[taskId, NEVER_SEEN]]);
  }

  /**
   * A task has changed while the reader was here. Its earlier state is marked, if it counted as read only by its time:
   * some writers change a task and no time in it.
   * @param {TaskSummary} before
   * @param {TaskSummary} now
   */
  changed(before, now) {
    if (this.#marks.has(now.taskId) || this.isUnread(before) || stateOf(before) === stateOf(now)) return;
    this.#set([[now.taskId, stateOf(before)]]);
  }

  /** Saves what there is of this user, and is empty afterwards, for the next user. */
  clear() {
    this.#saveNow();
    this.#marks.clear();
    this.#unsaved.clear();
    this.#since = null;
  }

  /** @param {string[][]} marks pairs of a task's id and its mark */
  #set(marks) {
    for (const [taskId, mark] of marks) {
      put(this.#marks, taskId, mark);
      put(this.#unsaved, taskId, mark);
    }
    if (marks.length > 0) this.#saveSoon();
  }

  #saveSoon() {
    this.#saving ??= setTimeout(() => this.#saveNow(), SAVE_MS);
  }

  #saveNow() {
    clearTimeout(this.#saving);
    if (this.#saving === undefined) return;
    this.#saving = undefined;
    // Another tab may have set marks as well, so only our own are written over what is there.
    const stored = remembered();
    if (stored) this.#merge(stored);
    const read = fitting([...this.#marks].reverse(), MARKS_MAX).reverse();
    this.#isComplete &&= read.length === this.#marks.size;
    const isKept = memory.set(NAME, { since: this.#since, isComplete: this.#isComplete, read });
    if (isKept) this.#unsaved.clear(); // otherwise they have to outlive the next reading of what is stored
  }

  #readAgain() {
    const stored = remembered();
    if (this.#since === null || !stored) return;
    this.#merge(stored);
    this.#changed();
  }

  /** @param {Stored} stored */
  #merge({ since, isComplete, marks }) {
    // A task that only came is not unread again if another tab has read it meanwhile.
    for (const [taskId, mark] of this.#unsaved) if (mark !== NEVER_SEEN || !marks.has(taskId)) put(marks, taskId, mark);
    this.#marks = marks;
    this.#since = since;
    this.#isComplete &&= isComplete;
  }
}

/** The marks of this page. */
export const marks = new Marks();

/**
 * The state of a task, as far as it makes the task worth another look.
 * @param {TaskSummary} task
 */
function stateOf(task) {
  return `${task.eventCount} ${stageOf(task).stage} ${(task.status ?? "").slice(0, 16)}`;
}

/**
 * Puts an entry at the end of a map.
 * @param {Map<string, string>} map
 * @param {string} key
 * @param {string} value
 */
function put(map, key, value) {
  map.delete(key);
  map.set(key, value);
}

/** @returns {Stored | undefined} */
function remembered() {
  const stored = memory.get(NAME);
  if (!isPast(stored?.since) || !Array.isArray(stored.read)) return undefined;
  const isMark = (/** @type {unknown} */ entry) => {
    return Array.isArray(entry) && entry.length === 2 && entry.every((part) => typeof part === "string");
  };
  return { since: stored.since, isComplete: stored.isComplete === true, marks: new Map(stored.read.filter(isMark)) };
}

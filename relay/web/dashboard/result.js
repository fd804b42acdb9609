// @ts-check
// The result of the search: which rows match it. Pure.
//
// Rules of this file:
// - What a search asks of more than the task, as `is:unread` does, is asked again when that has changed.
// - The task that is open stays in such a result while it is open, so that it does not vanish before the reader's eyes.

/** @import { TaskSummary } from "../client/index.js" */
/** @import { Filter } from "./search.js" */
/** @typedef {{taskId: string, task: TaskSummary, matches: boolean}} Found a row, as far as the search knows it */

export class Result {
  /** @type {Filter | null} */
  #filter = null;
  /** @type {string | null} */
  #openTaskId = null;
  #isNew = false; // the filter: nothing of the result of before stays
  #answersDiffer = false;

  /** Whether the reader searches for a text. */
  get isOfText() {
    return Boolean(this.#filter?.text);
  }

  /** The section that the reader wants to see; null for all. */
  get section() {
    return this.#filter?.section ?? null;
  }

  /**
   * Begins a round.
   * @param {Filter} filter
   * @param {string | null} openTaskId
   * @returns {boolean} whether the filter is another one, so that every row has to be judged
   */
  begin(filter, openTaskId) {
    this.#isNew = filter !== this.#filter;
    this.#filter = filter;
    if (openTaskId !== this.#openTaskId) this.#answersDiffer = true;
    this.#openTaskId = openTaskId;
    return this.#isNew;
  }

  /** What `is:…` asks of tasks may have other answers now. */
  ask() {
    this.#answersDiffer = true;
  }

  /**
   * Finds out whether a row matches.
   * @param {Found} row
   * @param {TaskSummary} task as it is now
   * @returns {boolean} whether that has changed
   */
  judge(row, task) {
    const before = row.matches;
    const stays = before && !this.#isNew && this.#filter?.asksIs && row.taskId === this.#openTaskId;
    row.matches = stays || (this.#filter?.passes(task) ?? true);
    return row.matches !== before;
  }

  /**
   * Judges all rows again, if the answers to what the search asks may differ.
   * @param {Iterable<Found>} rows
   * @returns {boolean} whether a row matches now that did not, or the other way round
   */
  judgeAgain(rows) {
    const isNeeded = this.#answersDiffer && this.#filter?.asksIs;
    this.#answersDiffer = false;
    let hasChanged = false;
    if (isNeeded) for (const row of rows) hasChanged = this.judge(row, row.task) || hasChanged;
    return hasChanged;
  }
}

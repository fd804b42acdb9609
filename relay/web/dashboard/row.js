// @ts-check
// The row of one task in the list. Its element is made when the row is first shown, and updated afterwards.

import { duration, parseTime } from "../view/index.js";
import { isInSight } from "./chunks.js";
import { setAttribute, setDocumentText, setText, stamp } from "./dom.js";
import { showBadge, showExactTime, showReferences } from "./facts.js";
import { moves, pulse } from "./motion.js";

/** @import { TaskSummary } from "../client/index.js" */
/** @import { Section } from "../view/index.js" */

const MARK_MS = 6_000;

export class Row {
  /** @type {HTMLElement | null} Null until the row is first shown. */
  element = null;
  /** Whether the task matches the search. */
  matches = true;
  /** Whether the task is new since the list was shown: then its row slides in. */
  isNews = false;
  /** The last round of the list that contained the task. */
  round = 0;

  /** @type {TaskSummary | null} The summary that the element shows. */
  #shown = null;
  /** @type {HTMLElement[]} */
  #parts = [];
  #markedUntil = 0;

  /**
   * @param {TaskSummary} task
   * @param {Section} section
   */
  constructor(task, section) {
    this.taskId = task.taskId;
    this.task = task;
    this.section = section;
  }

  /** Returns the element, and makes it if there is none yet. */
  build() {
    if (this.element) return this.element;
    const element = (this.element = stamp("row-template"));
    element.dataset.taskId = this.taskId;
    this.#parts = /** @type {HTMLElement[]} */ ([...element.children]);
    this.#parts[0].setAttribute("href", addressOf(this.taskId));
    this.patch();
    return element;
  }

  /** Updates the element, if there is one. */
  patch() {
    const { task } = this;
    const before = this.#shown;
    if (!this.element || before === task) return;
    this.#shown = task;
    const [title, badge, creator, refs, events, age] = this.#parts;
    if (!before || task.title !== before.title) {
      setDocumentText(title, task.title ?? "Untitled");
      title.classList.toggle("untitled", task.title === undefined);
      setAttribute(title, "title", task.title);
    }
    const changed = showBadge(badge, task);
    setText(creator, task.creator ?? "");
    showReferences(refs, task, before);
    // Tab stops only at the title of a row: the open task has these links as well.
    for (const ref of refs.children) if (ref instanceof HTMLAnchorElement) ref.tabIndex = -1;
    if (task.eventCount !== before?.eventCount) {
      setText(events, String(task.eventCount));
      events.title = task.eventCount === 1 ? "1 event" : `${task.eventCount} events`;
    }
    showExactTime(age, this.#changedAt);
    this.tick();
    if (before && changed && isInSight(this.element.parentElement)) this.#show(badge);
  }

  /** Updates the age, and removes the highlight after its time. */
  tick(now = Date.now()) {
    const changedAt = this.#changedAt;
    setText(this.#parts[5], changedAt === undefined ? "" : duration(now - changedAt));
    if (this.#markedUntil && now > this.#markedUntil) {
      this.#markedUntil = 0;
      this.element?.classList.remove("marked");
    }
  }

  /** Highlights the row for some seconds, because it changed. */
  mark() {
    this.#markedUntil = Date.now() + MARK_MS;
    this.element?.classList.add("marked");
  }

  /** Empties the row but keeps its height, so that no other row moves up under the pointer. */
  vacate() {
    if (!this.element) return;
    this.element.removeAttribute("data-task-id");
    this.element.removeAttribute("aria-current");
    this.element.replaceChildren();
    this.element.classList.add("vacant");
  }

  get #changedAt() {
    return parseTime(this.task.updatedAt) ?? parseTime(this.task.createdAt);
  }

  /** @param {Element} badge */
  #show(badge) {
    if (moves()) pulse(badge);
    else this.mark();
  }
}

/**
 * The address of a task in this page.
 * @param {string} taskId
 */
export function addressOf(taskId) {
  // `encodeURIComponent` throws for half of a surrogate pair.
  return `#/tasks/${encodeURIComponent(taskId.replace(/\p{Surrogate}/gu, "\ufffd"))}`;
}

// @ts-check
// One task's row in the list: made when it is first shown, then patched.

import { duration, parseTime, stageOf } from "/view/index.js";
import { isInSight } from "./chunks.js";
import { setAttribute, setDocumentText, setText, stamp } from "./dom.js";
import { showBadge, showExactTime, showReferences } from "./facts.js";
import { moves, pulse } from "./motion.js";

/** @import { TaskSummary } from "/client/index.js" */

const MARK_MS = 6_000;

export class Row {
  /** @type {HTMLElement | null} null until it is first shown */
  element = null;
  /** Whether the filter passes it through. */
  matches = true;
  /** Came while someone was looking: slides in. */
  isNews = false;
  /** The round of the list it was last part of. */
  round = 0;

  /** @type {TaskSummary | null} what the element shows */
  #shown = null;
  /** @type {HTMLElement[]} */
  #parts = [];
  #markedUntil = 0;

  /** @param {TaskSummary} task */
  constructor(task) {
    this.taskId = task.taskId;
    this.task = task;
    this.section = stageOf(task).section;
  }

  /** The element, made now if there is none yet. */
  build() {
    if (this.element) return this.element;
    const element = (this.element = stamp("row-template"));
    element.dataset.taskId = this.taskId;
    this.#parts = /** @type {HTMLElement[]} */ ([...element.children]);
    this.#parts[0].setAttribute("href", addressOf(this.taskId));
    this.patch();
    return element;
  }

  /** Brings the element, if there is one, up to the task. */
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
    // The one link of a row that the keyboard stops at is its title; these are in the open task too.
    for (const ref of refs.children) if (ref instanceof HTMLAnchorElement) ref.tabIndex = -1;
    if (task.eventCount !== before?.eventCount) {
      setText(events, String(task.eventCount));
      events.title = task.eventCount === 1 ? "1 event" : `${task.eventCount} events`;
    }
    showExactTime(age, this.#changedAt);
    this.tick();
    if (before && changed && isInSight(this.element.parentElement)) this.#show(badge);
  }

  /** The age moves on without a render; a mark goes after its time. */
  tick(now = Date.now()) {
    const changedAt = this.#changedAt;
    setText(this.#parts[5], changedAt === undefined ? "" : duration(now - changedAt));
    if (this.#markedUntil && now > this.#markedUntil) {
      this.#markedUntil = 0;
      this.element?.classList.remove("marked");
    }
  }

  /** Shows for some seconds that this one changed. */
  mark() {
    this.#markedUntil = Date.now() + MARK_MS;
    this.element?.classList.add("marked");
  }

  /** Leaves an empty place of the same height behind: nothing moves up under a hand. */
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

/** @param {string} taskId */
export function addressOf(taskId) {
  // Half a character would throw.
  return `#/tasks/${encodeURIComponent(taskId.replace(/\p{Surrogate}/gu, "\ufffd"))}`;
}

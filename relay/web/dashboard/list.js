// @ts-check
// The list of tasks in its sections: rows keyed by task and patched, never rebuilt.

import { find, place, setAttribute, setText, slideIn, stamp } from "./dom.js";
import { showBadge, showCreator, showExactTime, showReferences } from "./facts.js";
import { standing } from "./stages.js";
import { duration, moment } from "./time.js";

/** @typedef {import("/client/index.js").TaskSummary} TaskSummary */
/** @typedef {import("./stages.js").Section} Section */
/**
 * @typedef {object} Row
 * @property {HTMLElement} element
 * @property {HTMLElement} age
 * @property {TaskSummary | null} task
 * @property {number | undefined} changedAt ms since the epoch
 * @property {Section} section
 */

/** @type {Section[]} */
const SECTIONS = ["needs-you", "in-progress", "failed", "completed"];
const COMPLETED_SHOWN = 50; // the newest; the rest comes behind "Show all"

export class ListView {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Set<string>} Tasks that were here before: only a task that is new slides in. */
  #known = new Set();
  #first = true;
  #completedShown = COMPLETED_SHOWN;
  #sections;

  /** @param {() => void} invalidate asks for another render */
  constructor(invalidate) {
    this.#sections = new Map(SECTIONS.map((key) => [key, foldingRemembered(key)]));
    find(".show-all").addEventListener("click", () => {
      this.#completedShown = Infinity;
      invalidate();
    });
  }

  /**
   * @param {readonly TaskSummary[]} tasks newest first
   * @param {string} filter
   * @param {string | null} openTaskId
   * @returns {number} how many tasks the filter lets through
   */
  render(tasks, filter, openTaskId) {
    const matching = filter === "" ? tasks : tasks.filter((task) => matches(task, filter.toLowerCase()));
    const bySection = Map.groupBy(matching, (task) => standing(task).section);
    const shown = new Set();
    for (const [key, section] of this.#sections) {
      const all = bySection.get(key) ?? [];
      const here = key === "completed" ? all.slice(0, this.#completedShown) : all;
      setText(find(".count", section), String(all.length));
      section.classList.toggle("empty", all.length === 0);
      this.#fill(find(".rows", section), key, here);
      for (const { taskId } of here) shown.add(taskId);
    }
    this.#offerRest(bySection.get("completed")?.length ?? 0);
    for (const [taskId, row] of this.#rows) {
      if (!shown.has(taskId)) {
        row.element.remove();
        this.#rows.delete(taskId);
      } else {
        setAttribute(row.element, "aria-current", taskId === openTaskId ? "true" : undefined);
      }
    }
    this.#known = new Set(tasks.map(({ taskId }) => taskId));
    this.#first = false;
    return matching.length;
  }

  /** Ages move on without a render. */
  tick() {
    for (const row of this.#rows.values()) showAge(row);
  }

  /**
   * @param {Element} list
   * @param {Section} section
   * @param {readonly TaskSummary[]} tasks
   */
  #fill(list, section, tasks) {
    let next = list.firstElementChild;
    for (const task of tasks) {
      const arrives = !this.#first && !this.#known.has(task.taskId);
      const { element } = this.#row(task, section);
      // A row that belongs elsewhere now is passed over: its new section takes it from here.
      while (next && next !== element && this.#sectionOf(next) !== section) next = next.nextElementSibling;
      if (next === element) next = next.nextElementSibling;
      else place(list, element, next);
      if (arrives) slideIn(element);
    }
  }

  /**
   * @param {TaskSummary} task
   * @param {Section} section
   */
  #row(task, section) {
    let row = this.#rows.get(task.taskId);
    const isNew = row === undefined;
    if (row === undefined) {
      const element = stamp("row-template");
      element.dataset.taskId = task.taskId;
      /** @type {HTMLAnchorElement} */ (find(".row-title", element)).href = `#/tasks/${encodeURIComponent(task.taskId)}`;
      row = { element, age: find(".age", element), task: null, changedAt: undefined, section };
      this.#rows.set(task.taskId, row);
    }
    row.section = section;
    if (row.task !== task) {
      row.task = task;
      patch(row, task, isNew);
    }
    return row;
  }

  /** @param {Element} element */
  #sectionOf(element) {
    return this.#rows.get(/** @type {HTMLElement} */ (element).dataset.taskId ?? "")?.section;
  }

  /** @param {number} completed */
  #offerRest(completed) {
    const button = find(".show-all");
    button.hidden = completed <= this.#completedShown;
    setText(button, `Show all ${completed}`);
  }
}

/**
 * @param {Row} row
 * @param {TaskSummary} task
 * @param {boolean} isNew
 */
function patch(row, task, isNew) {
  const { element } = row;
  const title = find(".row-title", element);
  setText(title, task.title ?? "Untitled");
  title.classList.toggle("untitled", task.title === undefined);
  showBadge(element, task, { isNew });
  showCreator(element, task);
  showReferences(element, task);
  setText(find(".events-count", element), String(task.eventCount));
  setAttribute(find(".events", element), "title", `${task.eventCount} events`);
  row.changedAt = moment(task.updatedAt) ?? moment(task.createdAt);
  showExactTime(row.age, row.changedAt);
  showAge(row);
}

/** @param {Row} row */
function showAge({ age, changedAt }) {
  setText(age, changedAt === undefined ? "" : duration(Date.now() - changedAt));
}

/**
 * @param {TaskSummary} task
 * @param {string} wanted in lower case
 */
function matches({ title, creator, status, issueNumber, prNumber }, wanted) {
  const numbers = [issueNumber, prNumber].map((number) => number && `#${number}`);
  return [title, creator, status, ...numbers].some((text) => text && text.toLowerCase().includes(wanted));
}

/**
 * @param {Section} key
 * @returns {HTMLDetailsElement}
 */
function foldingRemembered(key) {
  const section = /** @type {HTMLDetailsElement} */ (find(`[data-section="${key}"]`));
  section.open = localStorage.getItem(`relay.folded.${key}`) === null;
  section.addEventListener("toggle", () => {
    if (section.open) localStorage.removeItem(`relay.folded.${key}`);
    else localStorage.setItem(`relay.folded.${key}`, "yes");
  });
  return section;
}

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
    this.#offerRest(bySection.get("completed")?.length ?? 0);
    /** @type {Map<Section, readonly TaskSummary[]>} */
    const shown = new Map(SECTIONS.map((key) => {
      const all = bySection.get(key) ?? [];
      return [key, key === "completed" ? all.slice(0, this.#completedShown) : all];
    }));
    this.#assign(shown);
    for (const [key, section] of this.#sections) {
      const count = bySection.get(key)?.length ?? 0;
      setText(find(".count", section), String(count));
      section.classList.toggle("empty", count === 0);
      this.#fill(find(".rows", section), key, shown.get(key) ?? []);
    }
    for (const [taskId, { element }] of this.#rows) {
      setAttribute(element, "aria-current", taskId === openTaskId ? "true" : undefined);
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
   * Which rows stay, and where each belongs, is known before the first one moves: a row that is
   * about to leave must not make all the others walk around it.
   * @param {Map<Section, readonly TaskSummary[]>} shown
   */
  #assign(shown) {
    /** @type {Map<string, Section>} */
    const sections = new Map();
    for (const [section, tasks] of shown) for (const { taskId } of tasks) sections.set(taskId, section);
    for (const [taskId, row] of this.#rows) {
      const section = sections.get(taskId);
      if (section) {
        row.section = section;
      } else {
        row.element.remove();
        this.#rows.delete(taskId);
      }
    }
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

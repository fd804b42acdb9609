// @ts-check
// The list of tasks in its sections. There is one row per task, which is updated and moved but never rebuilt.
//
// Rules of this file:
// - The content of a row is updated at once. Its position may wait while the reader points at the list.
// - A row whose task is gone is emptied at once. Its empty place may wait.

import { readable, sectionOf, SECTIONS } from "../view/index.js";
import { Chunks, isInSight, takeOut } from "./chunks.js";
import { find, setAttribute, setText, stamp } from "./dom.js";
import { memory } from "./memory.js";
import { PointerGuard } from "./pointer-guard.js";
import { Pace, moves, slideIn, travel } from "./motion.js";
import { Row } from "./row.js";

/** @import { TaskSummary } from "../client/index.js" */
/** @import { Me, Section } from "../view/index.js" */
/** @import { Filter } from "./search.js" */
/**
 * A section, and its rows in their order.
 * @typedef {{section: HTMLDetailsElement, chunks: Chunks, rows: Row[]}} Place
 */

const PLACED_AT_ONCE = 200; // rows; the others follow in the next frames
const CROWD = 24; // a section with more rows animates no icons, because each one needs a layer of its own
const FOLDED = "folded"; // in the memory of the browser: the sections that are folded
const MOVING_MAX = 12; // if more rows move at once, they are not animated

export class ListView {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Map<Section, Place>} */
  #places;
  /** @type {Map<Element, Row>} */
  #byElement = new Map();
  /** @type {HTMLElement[]} Empty places of rows whose tasks are gone. */
  #vacant = [];
  /** @type {readonly TaskSummary[] | null} */
  #tasks = null;
  /** @type {Filter | null} */
  #filter = null;
  /** @type {Me} */
  #me = {};
  #round = 0;
  #pace = new Pace();
  #disordered = false;
  #filling = true; // the list is new: some rows are still to be placed in the next frames
  /** @type {Element | null} */
  #current = null;
  /** @type {HTMLElement | null} The one row that Tab stops at. The arrow keys lead to the others. */
  #tabStop = null;
  #scroller = find("#list");
  #pill = find("#waiting");
  #guard;
  #invalidate;

  /** @param {() => void} invalidate requests another render */
  constructor(invalidate) {
    this.#invalidate = invalidate;
    this.#guard = new PointerGuard(this.#scroller, invalidate);
    this.#places = new Map(SECTIONS.map((key) => [key, this.#place(key)]));
    this.#pill.addEventListener("click", () => this.#arrange());
    memory.onChange(FOLDED, () => this.#fold());
    this.#scroller.addEventListener("focusin", (/** @type {FocusEvent} */ { target }) => this.#stopAt(target));
  }

  /**
   * @param {readonly TaskSummary[]} tasks newest first; the same array while nothing changed
   * @param {Filter} filter
   * @param {{me: Me, openTaskId: string | null, marking: boolean}} how `marking`: highlight what changes
   * @returns {Map<Section, number>} how many tasks match the search
   */
  render(tasks, filter, { me, openTaskId, marking }) {
    const filtered = filter !== this.#filter;
    if (me !== this.#me) this.#divideFor(me);
    if (tasks !== this.#tasks || filtered) this.#take(tasks, filter, marking);
    if (this.#disordered) {
      if (filtered || this.#filling) this.#arrange({ atOnce: true });
      else if (this.#guard.holds()) this.#offer();
      else this.#arrange();
    }
    this.#markCurrent(openTaskId);
    return this.#count();
  }

  /** Removes everything, for the list of another user. */
  clear() {
    for (const row of this.#rows.values()) if (row.element) takeOut(row.element);
    for (const place of this.#places.values()) place.rows = [];
    this.#rows.clear();
    this.#byElement.clear();
    for (const element of this.#vacant.splice(0)) takeOut(element);
    this.#tasks = null;
    this.#filling = true;
  }

  /** Updates the ages of the visible rows. */
  tick() {
    const now = Date.now();
    for (const chunk of this.#scroller.querySelectorAll(".chunk.in-sight")) this.#tickChunk(chunk, now);
  }

  /**
   * Moves the focus.
   * @param {string | null} from the task to start at
   * @param {number} by how many rows further, negative for back
   */
  step(from, by) {
    const elements = [...this.#scroller.querySelectorAll(".section[open]:not([hidden]) .row:not(.vacant)")];
    const at = elements.indexOf(/** @type {Element} */ (this.#rows.get(from ?? "")?.element));
    const next = elements[at < 0 ? 0 : Math.min(elements.length - 1, Math.max(0, at + by))];
    if (next) this.#focus(next);
  }

  /** @param {string} taskId */
  focus(taskId) {
    const element = this.#rows.get(taskId)?.element;
    if (element) this.#focus(element);
  }

  /** The task whose row has the focus. */
  get focused() {
    return document.activeElement?.closest(".row")?.getAttribute("data-task-id") ?? null;
  }

  /**
   * Runs a change of the layout, and keeps one row at its place on the screen.
   * @param {string | null} taskId
   * @param {() => void} change
   */
  keepInPlace(taskId, change) {
    const element = this.#rows.get(taskId ?? "")?.element;
    const before = element?.getBoundingClientRect();
    change();
    if (!element || !before?.height) return;
    this.#scroller.scrollTop += element.getBoundingClientRect().top - before.top;
  }

  /**
   * Moves the tasks that wait for other people now: those of another user, or of one whose claims changed.
   * @param {Me} me
   */
  #divideFor(me) {
    this.#me = me;
    for (const row of this.#rows.values()) {
      const section = sectionOf(row.task, me);
      if (section !== row.section) this.#disordered = true;
      row.section = section;
    }
  }

  /**
   * @param {readonly TaskSummary[]} tasks
   * @param {Filter} filter
   * @param {boolean} marking
   */
  #take(tasks, filter, marking) {
    const filtered = filter !== this.#filter;
    this.#tasks = tasks;
    this.#filter = filter;
    this.#round += 1;
    for (const task of tasks) {
      const row = this.#rows.get(task.taskId) ?? this.#arrival(task);
      row.round = this.#round;
      if (row.task !== task) this.#update(row, task, marking);
      else if (filtered) row.matches = this.#passes(task);
    }
    if (filtered) this.#disordered = true;
    if (this.#rows.size > tasks.length) this.#dropOthers();
  }

  /** @param {TaskSummary} task */
  #arrival(task) {
    const row = new Row(task, sectionOf(task, this.#me));
    this.#rows.set(task.taskId, row);
    row.isNews = !this.#filling;
    row.matches = this.#passes(task);
    this.#disordered = true;
    return row;
  }

  /**
   * @param {Row} row
   * @param {TaskSummary} task
   * @param {boolean} marking
   */
  #update(row, task, marking) {
    const section = sectionOf(task, this.#me);
    const passes = this.#passes(task);
    const isMoved = section !== row.section || passes !== row.matches || task.createdAt !== row.task.createdAt;
    if (isMoved) this.#disordered = true;
    row.section = section;
    row.matches = passes;
    row.task = task;
    row.patch();
    if (marking) row.mark();
  }

  #dropOthers() {
    for (const [taskId, row] of this.#rows) {
      if (row.round === this.#round) continue;
      this.#rows.delete(taskId);
      if (!row.element) continue;
      row.vacate();
      this.#byElement.delete(row.element);
      this.#vacant.push(row.element);
      this.#disordered = true;
    }
  }

  /**
   * Moves every row to its place, as many as this frame has time for.
   * @param {{atOnce?: boolean}} [how] `atOnce`: without an animation
   */
  #arrange({ atOnce = false } = {}) {
    this.#guard.beforeMoving();
    this.#pill.hidden = true;
    this.#disordered = false;
    const wanted = this.#wanted();
    const before = this.#pace.allows() && !atOnce ? this.#positions() : null;
    for (const element of this.#vacant.splice(0)) takeOut(element);
    for (const { rows } of this.#places.values()) {
      for (const row of rows) if (row.element && !this.#isShown(row)) takeOut(row.element);
    }
    /** @type {Row[]} */
    const arrived = [];
    for (const key of SECTIONS) this.#fill(key, wanted.get(key) ?? [], arrived);
    this.#filling = this.#disordered;
    if (this.#filling) this.#invalidate();
    if (before && arrived.length <= MOVING_MAX) this.#animate(before, arrived);
    if (!this.#tabStop?.isConnected) this.#stopAt(this.#scroller.querySelector(".row-title"));
    for (const row of arrived) {
      if (row.isNews && !moves()) row.mark();
      row.isNews = false;
    }
  }

  #wanted() {
    /** @type {Map<Section, Row[]>} */
    const wanted = new Map(SECTIONS.map((key) => [key, []]));
    for (const { taskId } of this.#tasks ?? []) {
      const row = this.#rows.get(taskId);
      if (row && this.#isShown(row)) wanted.get(row.section)?.push(row);
    }
    return wanted;
  }

  /**
   * @param {Section} key
   * @param {Row[]} rows
   * @param {Row[]} arrived receives the rows that are new in this section
   */
  #fill(key, rows, arrived) {
    const place = /** @type {Place} */ (this.#places.get(key));
    const staying = new Set(rows);
    const have = place.rows.filter((row) => row.section === key && staying.has(row));
    place.rows = [];
    let next = 0;
    for (const row of rows) {
      if (row === have[next]) {
        place.rows.push(row);
        next += 1;
        continue;
      }
      if (arrived.length === PLACED_AT_ONCE) {
        this.#disordered = true;
        place.rows.push(...have.slice(next));
        break;
      }
      place.rows.push(row);
      const at = have.indexOf(row, next);
      if (at >= 0) have.splice(at, 1);
      const element = row.build();
      this.#byElement.set(element, row);
      place.chunks.insert(element, have[next]?.element ?? null);
      arrived.push(row);
    }
  }

  /** The positions of the visible rows, before they move. */
  #positions() {
    /** @type {Map<Row, number>} */
    const tops = new Map();
    const { top, bottom } = this.#scroller.getBoundingClientRect();
    for (const chunk of this.#scroller.querySelectorAll(".chunk.in-sight")) {
      for (const element of chunk.children) {
        const at = element.getBoundingClientRect();
        const row = this.#byElement.get(element);
        if (row && at.bottom > top && at.top < bottom) tops.set(row, at.top);
      }
    }
    return tops;
  }

  /**
   * @param {Map<Row, number>} before
   * @param {Row[]} arrived
   */
  #animate(before, arrived) {
    for (const [row, top] of before) {
      // Do not measure a row out of sight: the browser would have to lay out its whole chunk.
      const measured = row.element?.isConnected && isInSight(row.element.parentElement);
      const by = measured ? top - /** @type {Element} */ (row.element).getBoundingClientRect().top : 0;
      if (row.element && by !== 0) travel(row.element, by);
    }
    for (const { element } of arrived.filter((row) => !before.has(row))) {
      if (element && isInSight(element.parentElement)) slideIn(element);
    }
  }

  /** Shows how many changes wait, with a button to apply them now. */
  #offer() {
    let count = this.#vacant.length;
    for (const [key, rows] of this.#wanted()) {
      const placed = new Set(this.#places.get(key)?.rows);
      for (const row of rows) if (!placed.has(row)) count += 1;
    }
    this.#disordered = count > 0;
    this.#pill.hidden = count === 0;
    setText(find("span:last-child", this.#pill), `${count} ${count === 1 ? "change" : "changes"}`);
  }

  /** @param {TaskSummary} task */
  #passes(task) {
    return this.#filter?.passes(task) ?? true;
  }

  /** @param {Row} row */
  #isShown(row) {
    return row.matches && (!this.#filter?.section || this.#filter.section === row.section);
  }

  #count() {
    const counts = new Map(SECTIONS.map((key) => [key, 0]));
    for (const { matches: passes, section } of this.#rows.values()) {
      if (passes) counts.set(section, (counts.get(section) ?? 0) + 1);
    }
    for (const [key, { section }] of this.#places) {
      const count = counts.get(key) ?? 0;
      setText(find(".count", section), String(count));
      setAttribute(section, "data-count", String(count));
      section.classList.toggle("empty", count === 0);
      section.classList.toggle("crowd", count > CROWD);
      section.hidden = Boolean(this.#filter?.section && this.#filter.section !== key);
    }
    return counts;
  }

  /** @param {string | null} openTaskId */
  #markCurrent(openTaskId) {
    const element = this.#rows.get(openTaskId ?? "")?.element ?? null;
    if (element === this.#current) return;
    this.#current?.removeAttribute("aria-current");
    element?.setAttribute("aria-current", "true");
    element?.scrollIntoView({ block: "nearest" });
    this.#current = element;
  }

  /** @param {EventTarget | null} link */
  #stopAt(link) {
    if (!(link instanceof HTMLElement) || !link.matches(".row-title")) return;
    if (this.#tabStop) this.#tabStop.tabIndex = -1;
    this.#tabStop = link;
    link.tabIndex = 0;
  }

  /** @param {Element} element a row */
  #focus(element) {
    find(".row-title", element).focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  }

  /**
   * @param {Element} chunk
   * @param {number} now
   */
  #tickChunk(chunk, now) {
    for (const element of chunk.children) this.#byElement.get(element)?.tick(now);
  }

  #fold() {
    const folded = memory.get(FOLDED);
    for (const [key, { section }] of this.#places) section.open = !(Array.isArray(folded) && folded.includes(key));
  }

  #rememberFolds() {
    memory.set(FOLDED, SECTIONS.filter((key) => !this.#places.get(key)?.section.open));
  }

  /**
   * @param {Section} key
   * @returns {Place}
   */
  #place(key) {
    const section = /** @type {HTMLDetailsElement} */ (stamp("section-template"));
    section.dataset.section = key;
    setText(find("h2", section), readable(key));
    find("#sections").append(section);
    section.addEventListener("toggle", () => this.#rememberFolds());
    const chunks = new Chunks(find(".rows", section), (chunk) => this.#tickChunk(chunk, Date.now()));
    return { section, chunks, rows: [] };
  }
}

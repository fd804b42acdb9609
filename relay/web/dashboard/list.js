// @ts-check
// The list of tasks in its sections. There is one row per task, which is updated and moved but never rebuilt.
//
// Rules of this file:
// - The content of a row is updated at once. Its position may wait while the reader points at the list.
// - A row whose task is gone is emptied at once. Its empty place may wait.

import { sectionOf, SECTIONS, stageOf, waitsForMe } from "../view/index.js";
import { AboveView } from "./above.js";
import { takeOut } from "./chunks.js";
import { find, setText } from "./dom.js";
import { Folds } from "./folds.js";
import { say } from "./language.js";
import { marks } from "./marks.js";
import { moves } from "./motion.js";
import { orders } from "./orders.js";
import { PointerGuard } from "./pointer-guard.js";
import { Result } from "./result.js";
import { RowFocus } from "./row-focus.js";
import { RowMotion } from "./row-motion.js";
import { Row } from "./row.js";
import { SectionView } from "./section.js";
import { stays } from "./stays.js";

/** @import { TaskSummary } from "../client/index.js" */
/** @import { Me, Section } from "../view/index.js" */
/** @import { Filter } from "./search.js" */

const PLACED_AT_ONCE = 200; // rows; the others follow in the next frames

export class ListView {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Map<Section, SectionView>} */
  #sections;
  /** @type {Map<Element, Row>} */
  #byElement = new Map();
  /** @type {HTMLElement[]} Empty places of rows whose tasks are gone. */
  #vacant = [];
  /** @type {readonly TaskSummary[] | null} */
  #tasks = null;
  #result = new Result();
  /** @type {Me} */
  #me = {};
  #round = 0;
  #roundAt = 0; // when the round began, in ms since the epoch
  #disordered = true;
  #wished = false; // the reader has asked for other rows, so they do not wait
  #filling = true; // the list is new: some rows are still to be placed in the next frames
  /** @type {Element | null} */
  #current = null;
  #scroller = find("#list");
  #pill = find("#waiting");
  #focus = new RowFocus(this.#scroller);
  #above = new AboveView(this.#scroller);
  #motion = new RowMotion(this.#scroller, (element) => this.#byElement.get(element));
  #guard;
  #folds;
  #invalidate;

  /** @param {() => void} invalidate requests another render */
  constructor(invalidate) {
    this.#invalidate = invalidate;
    this.#guard = new PointerGuard(this.#scroller, invalidate);
    this.#sections = new Map(SECTIONS.map((key) => [key, this.#section(key)]));
    this.#folds = new Folds(this.#sections);
    find("#sections").append(...[...this.#sections.values()].map(({ element }) => element));
    this.#pill.addEventListener("click", () => this.#arrange());
    marks.onChange(() => this.#showMarks());
    orders.onChange(() => this.#showOrders());
    stays.onLearned((taskId) => this.#locateAgain(taskId));
  }

  /**
   * @param {readonly TaskSummary[]} tasks newest first; the same array while nothing changed
   * @param {Filter} filter
   * @param {{me: Me, openTaskId: string | null, marking: boolean}} how `marking`: highlight what changes
   * @returns {Map<Section, number>} how many tasks match the search
   */
  render(tasks, filter, { me, openTaskId, marking }) {
    const filtered = this.#result.begin(filter, openTaskId);
    marks.begin(tasks);
    if (me !== this.#me) this.#divideFor(me);
    if (tasks !== this.#tasks || filtered) this.#take(tasks, filtered, marking);
    this.#read(openTaskId);
    if (this.#result.judgeAgain(this.#rows.values())) this.#disordered = true;
    if (this.#disordered) {
      if (filtered || this.#filling || this.#wished) this.#arrange({ atOnce: true });
      else if (this.#guard.holds()) this.#offer();
      else this.#arrange();
    }
    this.#markCurrent(openTaskId);
    return this.#count();
  }

  /** Removes everything, for the list of another user. */
  clear() {
    for (const row of this.#rows.values()) if (row.element) takeOut(row.element);
    for (const section of this.#sections.values()) section.clear();
    this.#rows.clear();
    this.#byElement.clear();
    for (const element of this.#vacant.splice(0)) takeOut(element);
    this.#above.clear();
    stays.clear();
    marks.clear();
    this.#tasks = null;
    this.#disordered = true;
    this.#filling = true;
  }

  /** The rows of all tasks, in no order: for what else shows where tasks are. */
  get rows() {
    return this.#rows.values();
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
    this.#focus.step(this.#rows.get(from ?? "")?.element, by);
  }

  /** @param {string} taskId */
  focus(taskId) {
    const element = this.#rows.get(taskId)?.element;
    if (element) this.#focus.moveTo(element);
  }

  /** The task whose row has the focus. */
  get focused() {
    return this.#focus.taskId;
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
    this.#result.ask();
    this.#roundAt = Date.now();
    for (const row of this.#rows.values()) this.#locate(row, row.task, "returning");
  }

  /**
   * @param {readonly TaskSummary[]} tasks
   * @param {boolean} filtered whether the search is another one than before
   * @param {boolean} marking
   */
  #take(tasks, filtered, marking) {
    this.#tasks = tasks;
    this.#round += 1;
    this.#roundAt = Date.now();
    for (const task of tasks) {
      const row = this.#rows.get(task.taskId) ?? this.#arrival(task, marking);
      row.round = this.#round;
      if (row.task !== task) this.#update(row, task, marking);
      else if (filtered) this.#result.judge(row, task);
    }
    if (filtered) this.#disordered = true;
    if (this.#rows.size > tasks.length) this.#dropOthers();
  }

  /**
   * @param {TaskSummary} task
   * @param {boolean} marking
   */
  #arrival(task, marking) {
    const row = new Row(task);
    this.#rows.set(task.taskId, row);
    row.isNews = !this.#filling;
    if (row.isNews && !marking) marks.arrived(task);
    this.#result.judge(row, task);
    row.isUnread = marks.isUnread(task);
    this.#locate(row, task, this.#filling ? "first" : marking ? "returning" : "live");
    this.#disordered = true;
    return row;
  }

  /**
   * @param {Row} row
   * @param {TaskSummary} task
   * @param {boolean} marking
   */
  #update(row, task, marking) {
    marks.changed(row.task, task);
    if (this.#result.judge(row, task)) this.#disordered = true;
    this.#locate(row, task, marking ? "returning" : "live");
    row.task = task;
    row.isUnread = marks.isUnread(task);
    row.patch();
    if (marking) row.mark();
  }

  /**
   * Finds out where a row belongs.
   * @param {Row} row
   * @param {TaskSummary} task as it is now
   * @param {import("./stays.js").Met} met
   */
  #locate(row, task, met) {
    const section = sectionOf(task, this.#me);
    const stay = stays.take(task, stageOf(task).stage, section, met, this.#roundAt);
    const isMine = waitsForMe(task, this.#me);
    if (row.locate(task, section, stay, isMine) || orders.of(section) === "changed") this.#disordered = true;
  }

  /** @param {string} taskId of a task whose events have said since when it is in its stage */
  #locateAgain(taskId) {
    const row = this.#rows.get(taskId);
    if (!row) return;
    this.#locate(row, row.task, "first");
    row.tick();
    this.#invalidate();
  }

  #dropOthers() {
    for (const [taskId, row] of this.#rows) {
      if (row.round === this.#round) continue;
      this.#rows.delete(taskId);
      stays.drop(taskId);
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
    const wanted = this.#wanted();
    const shown = new Set([...wanted.values()].flat());
    this.#motion.before(atOnce);
    for (const element of this.#vacant.splice(0)) takeOut(element);
    for (const { rows } of this.#sections.values()) {
      for (const row of rows) if (row.element && !shown.has(row)) takeOut(row.element);
    }
    /** @type {Row[]} */
    const moved = [];
    let isComplete = true;
    for (const [section, rows] of wanted) isComplete = section.fill(rows, moved, PLACED_AT_ONCE) && isComplete;
    for (const row of moved) if (row.element) this.#byElement.set(row.element, row);
    this.#disordered = !isComplete;
    this.#wished &&= !isComplete;
    if (!isComplete) this.#invalidate();
    this.#motion.after(moved);
    if (!this.#filling && !atOnce) this.#above.add(moved.filter((row) => row.hasCome));
    this.#filling &&= !isComplete;
    this.#focus.keep();
    for (const row of moved) {
      if (row.isNews && !moves()) row.mark();
      row.isNews = false;
      row.hasCome = false;
    }
  }

  /** The rows to show in each section, in their order. */
  #wanted() {
    /** @type {Map<Section, Row[]>} */
    const rows = new Map(SECTIONS.map((key) => [key, []]));
    for (const row of this.#rows.values()) {
      if (row.matches && this.#isShown(row.section)) rows.get(row.section)?.push(row);
    }
        return new Map([...this.#sections].map(([key, section]) => {
      return [section, section.wanted(rows.get(key) ?? [], this.#result.isOfText)];
    }));
  }

  /** Shows how many changes wait, with a button to apply them now. */
  #offer() {
    let count = this.#vacant.length;
    for (const [section, rows] of this.#wanted()) {
      const placed = new Set(section.rows);
      for (const row of rows) if (!placed.has(row)) count += 1;
    }
    this.#pill.hidden = count === 0;
    if (count > 0) setText(find("span:last-child", this.#pill), say("list.waiting", { count }));
  }

  /** @param {Section} section */
  #isShown(section) {
    return this.#result.section === null || this.#result.section === section;
  }

  /** Counts the tasks of each section that match the search. */
  #count() {
    const counts = new Map(SECTIONS.map((key) => [key, { count: 0, unread: 0, mine: 0 }]));
    for (const row of this.#rows.values()) {
      const inSection = row.matches ? counts.get(row.section) : undefined;
      if (!inSection) continue;
      inSection.count += 1;
      if (row.isUnread) inSection.unread += 1;
      if (row.isMine && row.section === "failed") inSection.mine += 1;
    }
    for (const [key, inSection] of counts) this.#sections.get(key)?.showCounts(inSection, this.#isShown(key));
    return new Map([...counts].map(([key, { count }]) => [key, count]));
  }

  /**
   * What is open before the reader's eyes is read.
   * @param {string | null} openTaskId
   */
  #read(openTaskId) {
    const row = this.#rows.get(openTaskId ?? "");
    if (row?.isUnread && !document.hidden) this.#readRows([row]);
  }

  /** @param {Row[]} rows */
  #readRows(rows) {
    marks.read(rows.map(({ task }) => task));
    for (const row of rows) row.isUnread = false;
    this.#result.ask();
  }

  /** Shows marks that another tab has set. */
  #showMarks() {
    for (const row of this.#rows.values()) row.isUnread = marks.isUnread(row.task);
    this.#result.ask();
    this.#invalidate();
  }

  /** Shows orders that were chosen, here, in another tab or by an address. */
  #showOrders() {
    for (const section of this.#sections.values()) section.showOrder();
    this.#showOthers();
  }

  #showOthers() {
    this.#disordered = this.#wished = true;
    this.#invalidate();
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

  /**
   * @param {Element} chunk
   * @param {number} now
   */
  #tickChunk(chunk, now) {
    for (const element of chunk.children) this.#byElement.get(element)?.tick(now);
  }

  /** @param {Section} key */
  #section(key) {
    return new SectionView(key, {
      onSeen: (chunk) => this.#tickChunk(chunk, Date.now()),
      onFold: () => this.#folds.remember(),
      onReadAll: () => {
        this.#readRows([...this.#rows.values()].filter((row) => row.matches && row.section === key));
        this.#invalidate();
      },
      showOthers: () => this.#showOthers(),
    });
  }
}

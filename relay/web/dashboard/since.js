// @ts-check
// "Since you looked": what came to need the reader, failed or was completed while they were away. Shown in the place of
// the task while none is open, and behind a button in the header.

import { visible } from "../view/index.js";
import { find, setAttribute, setDocumentText, setText, stamp } from "./dom.js";
import { showBadge, showExactTime } from "./facts.js";
import { say } from "./language.js";
import { LastLook } from "./last-look.js";
import { addressOf } from "./row.js";
import { hourAndMinute, longDuration } from "./time.js";

/** @import { Section } from "../view/index.js" */
/** @import { Row } from "./row.js" */

const SHOWN_MAX = 30;
/** @type {ReadonlySet<Section>} What a reader who was away wants to know. */
const TOLD = new Set(["needs-me", "failed", "completed"]);

export class SinceView {
  #look;
  #pane = find("#since");
  #popover = find("#since-away");
  #button = find("#away");
  #lists = [find(".since-list", this.#pane), find(".since-list", this.#popover)];
  #shown = "";

  /** @param {() => void} invalidate requests another render */
  constructor(invalidate) {
    this.#look = new LastLook(invalidate);
    this.#popover.addEventListener("toggle", (/** @type {ToggleEvent} */ { newState }) => {
      if (newState === "closed") this.#look.seen();
    });
    this.#popover.addEventListener("click", (/** @type {MouseEvent} */ { target }) => {
      if (target instanceof Element && target.closest("a")) this.#popover.hidePopover();
    });
  }

  /** @param {Iterable<Row> | null} rows of all tasks; null before there is a list */
  render(rows) {
    this.#pane.hidden = rows === null;
    if (rows === null) return this.#showNothing();
    this.#look.begin();
    const all = [...rows];
    const since = this.#look.since ?? Date.now();
    const changed = all
      .filter((row) => TOLD.has(row.section) && row.stay.sectionAt > since)
      .sort((a, b) => b.stay.sectionAt - a.stay.sectionAt);
    this.#showWords(changed.length, since);
    this.#showList(changed);
    const needing = all.filter((row) => row.section === "needs-me").length;
    setText(find(".since-now", this.#pane), needing === 0 ? say("since.nothing") : say("since.needs", { count: needing }));
    this.#showDay(all);
  }

  /** Removes everything, for the list of another user. */
  clear() {
    this.#look.clear();
    this.render(null);
  }

  tick() {
    this.#look.tick();
  }

  #showNothing() {
    this.#button.hidden = true;
    for (const list of this.#lists) list.replaceChildren();
    this.#shown = "";
  }

  /**
   * @param {number} count
   * @param {number} since
   */
  #showWords(count, since) {
    const { backAt } = this.#look;
    const time = hourAndMinute(since);
    const isOpen = this.#popover.matches(":popover-open");
    this.#button.hidden = !isOpen && (backAt === null || count === 0);
    const told = say("since.button", { count, time });
    setText(find("span", this.#button), told);
    for (const name of ["title", "aria-label"]) setAttribute(this.#button, name, told);
    setAttribute(this.#button, "data-short", say("since.button-short", { count })); // where there is less room
    const away = backAt === null ? "" : say("since.away", { count, duration: longDuration(backAt - since) });
    if (away !== "") setText(find("h2", this.#popover), away);
    setText(find(".since-while", this.#pane), away);
    find(".since-while", this.#pane).hidden = away === "";
    setText(find(".since-time", this.#pane), say("since.time", { time }));
    find(".since-none", this.#pane).hidden = count > 0;
  }

  /** @param {Row[]} changed newest first */
  #showList(changed) {
    const told = changed.slice(0, SHOWN_MAX);
    const shown = JSON.stringify(told.map(({ task, stay }) => [task.taskId, task.title, task.status, stay]));
    if (shown === this.#shown) return;
    this.#shown = shown;
    for (const list of this.#lists) list.replaceChildren(...told.map(itemOf));
    const more = changed.length - told.length;
    for (const list of this.#lists) {
      const rest = find(".since-more", list.parentElement);
      rest.hidden = more === 0;
      setText(rest, say("since.more", { count: more }));
    }
  }

  /** @param {Row[]} rows of all tasks */
  #showDay(rows) {
    const midnight = new Date().setHours(0, 0, 0, 0);
    const created = rows.filter((row) => row.bornAt >= midnight).length;
    const entered = rows.filter((row) => row.stay.sectionAt >= midnight);
    this.#showCount("created", created);
    for (const key of TOLD) this.#showCount(key, entered.filter((row) => row.section === key).length);
  }

  /**
   * @param {string} of
   * @param {number} count
   */
  #showCount(of, count) {
    setText(find(`[data-day="${of}"]`, this.#pane), say("count", { count }));
  }
}

/** @param {Row} row */
function itemOf({ task, section, stay }) {
  const item = stamp("since-template");
  const [link, badge, what, time] = /** @type {HTMLElement[]} */ ([...item.children]);
  link.setAttribute("href", addressOf(task.taskId));
  setDocumentText(link, visible(task.title) ?? say("row.untitled"));
  setAttribute(link, "title", visible(task.title));
  showBadge(badge, task);
  setText(what, say(`since.came.${section}`));
  setText(time, hourAndMinute(stay.sectionAt));
  showExactTime(time, stay.sectionAt);
  return item;
}

// @ts-check
// A section of the list: its head with counts, order and "mark all as read", and the rows in it.

import { Chunks } from "./chunks.js";
import { find, setAttribute, setText, stamp } from "./dom.js";
import { locale, say } from "./language.js";
import { ORDERS, orders } from "./orders.js";

/** @import { Section } from "../view/index.js" */
/** @import { Row } from "./row.js" */
/** @typedef {{count: number, unread: number, mine: number}} Counts */

const SHOWN_MAX = 50; // of the completed tasks; a button shows the others
const CROWD = 24; // a section with more rows animates no icons, because each one needs a layer of its own

export class SectionView {
  /** The key of the section. */
  key;
  /** @type {HTMLDetailsElement} */
  element;
  /** @type {Row[]} The rows that are placed, in their order. */
  rows = [];

  #chunks;
  #order;
  #readAll;
  #showAll;
  #isWhole;
  #showOthers;

  /**
   * @param {Section} key
   * @param {object} list
   * @param {(chunk: Element) => void} list.onSeen called when a chunk of rows becomes visible
   * @param {() => void} list.onFold called when the reader folds or unfolds the section
   * @param {() => void} list.onReadAll called when the reader marks all rows as read
   * @param {() => void} list.showOthers called when other rows are to be shown
   */
  constructor(key, { onSeen, onFold, onReadAll, showOthers }) {
    this.key = key;
    this.#showOthers = showOthers;
    this.#isWhole = key !== "completed";
    this.element = /** @type {HTMLDetailsElement} */ (stamp("section-template"));
    this.element.dataset.section = key;
    const name = say(`search.section.${key}`);
    setText(find("h2", this.element), name);
    this.element.addEventListener("toggle", onFold);
    this.#chunks = new Chunks(find(".rows", this.element), onSeen);

    this.#order = find(".order select", this.element);
    this.#order.setAttribute("aria-label", say("section.order", { section: name }));
    this.#order.append(...ORDERS.map((order) => new Option(say(`order.${order}`), order)));
    this.showOrder();
    this.#order.addEventListener("change", () => orders.choose(key, this.#order.value));
    this.#readAll = find(".read-all", this.element);
    const label = say("section.read-all", { section: name });
    this.#readAll.title = label;
    this.#readAll.setAttribute("aria-label", label);
    this.#readAll.addEventListener("click", onReadAll);
    this.#showAll = find(".show-all", this.element);
    this.#showAll.addEventListener("click", () => this.#showWhole());
  }

  /** Shows the order that was chosen, here, in another tab or by an address. */
  showOrder() {
    const order = orders.of(this.key);
    this.#order.value = order;
    setText(find(".order-text", this.element), order === ORDERS[0] ? "" : say(`order.${order}`));
  }

  /**
   * The rows to show, in their order.
   * @param {Row[]} rows all that belong here, in any order
   * @param {boolean} whole whether to show all of them, as while the reader searches
   */
  wanted(rows, whole) {
    // Sorting is fast where most rows are in their order already, so those that are placed come first.
    const belonging = new Set(rows);
    const placed = this.rows.filter((row) => belonging.delete(row));
    const sorted = [...placed, ...belonging].sort(orders.comparison(this.key));
    return whole || this.#isWhole ? sorted : sorted.slice(0, SHOWN_MAX);
  }

  /**
   * Places rows in their order.
   * @param {Row[]} rows as from `wanted`
   * @param {Row[]} moved receives the rows that were moved or added
   * @param {number} movedMax how long `moved` may become
   * @returns {boolean} whether all rows have their places
   */
  fill(rows, moved, movedMax) {
    const staying = new Set(rows);
    const have = this.rows.filter((row) => row.place === this && staying.has(row));
    this.rows = [];
    let next = 0;
    for (const row of rows) {
      if (row === have[next]) {
        this.rows.push(row);
        next += 1;
        continue;
      }
      if (moved.length === movedMax) {
        this.rows.push(...have.slice(next));
        return false;
      }
      this.rows.push(row);
      const at = have.indexOf(row, next);
      if (at >= 0) have.splice(at, 1);
      this.#chunks.insert(row.build(), have[next]?.element ?? null);
      row.hasCome ||= row.place !== this;
      row.place = this;
      moved.push(row);
    }
    return true;
  }

  /**
   * @param {Counts} counts of the tasks that match the search
   * @param {boolean} isShown whether the section is one of those that the reader wants to see
   */
  showCounts({ count, unread, mine }, isShown) {
    const { element } = this;
    setAttribute(element, "data-count", String(count));
    setText(find(".count", element), count.toLocaleString(locale));
    const parts = [
      ...(unread > 0 ? [say("section.unread", { count: unread })] : []),
      ...(mine > 0 ? [say("section.mine", { count: mine })] : []),
    ];
    setText(find(".section-news", element), parts.join(" · "));
    this.#readAll.hidden = unread === 0;
    this.#order.parentElement.hidden = count < 2;
    element.classList.toggle("empty", count === 0);
    element.classList.toggle("crowd", count > CROWD);
    element.hidden = !isShown;
    this.#showAll.hidden = this.#isWhole || this.rows.length >= count || this.rows.length === 0;
    if (!this.#showAll.hidden) setText(this.#showAll, say("section.show-all", { count }));
  }

  /** Shows only the newest rows again, for the list of another user. */
  clear() {
    this.rows = [];
    this.#isWhole = this.key !== "completed";
  }

  #showWhole() {
    this.#isWhole = true;
    this.#showOthers();
  }
}

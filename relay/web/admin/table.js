// @ts-check
// The table of connections: sorted, and updated in place.
//
// Rules of this file:
// - While the reader is at work in the table, no row moves or disappears: a click would hit another one.
// - The row with the focus is never moved in the document, because that would take the focus away.

import { find, setAttribute, stamp } from "../dashboard/dom.js";
import { COLUMNS, sorted } from "./columns.js";
import { Row } from "./row.js";

/** @typedef {import("./api.js").Connection} Connection */
/** @typedef {{key: string, order: "ascending" | "descending"}} Sorting */

const REST_MS = 3_000; // after this long without a movement, the reader is not about to click
/** @type {Sorting} */
export const OLDEST_FIRST = { key: "since", order: "descending" };

export class Table {
  #table = find("#connections");
  #body = find("tbody", this.#table);
  /** @type {Map<string, Row>} by the id of the connection */
  #rows = new Map();
  /** @type {Connection[]} */
  #connections = [];
  #sorting = OLDEST_FIRST;
  #movedAt = -Infinity;

  /**
   * @param {object} page
   * @param {(sorting: Sorting) => void} page.sort the reader asks for another order
   * @param {(user: string) => void} page.filter
   * @param {(user: string) => void} page.disconnect
   */
  constructor({ sort, filter, disconnect }) {
    const head = find("thead tr", this.#table);
    for (const column of COLUMNS) {
      const cell = stamp("head-template");
      cell.dataset.column = column.key;
      const button = find("button", cell);
      button.textContent = column.title;
      button.addEventListener("click", () => sort(this.#nextSorting(column)));
      head.append(cell);
    }
    head.append(stamp("act-head-template"));
    for (const type of ["pointermove", "pointerdown", "keydown", "focusin"]) {
      this.#body.addEventListener(type, () => (this.#movedAt = performance.now()), { passive: true });
    }
    this.#body.addEventListener("pointerleave", () => (this.#movedAt = -Infinity));
    this.#body.addEventListener("click", (/** @type {any} */ { target }) => {
      const row = this.#rows.get(target.closest("tr")?.dataset.connection);
      const button = target.closest("button");
      const user = row?.connection.user ?? null;
      if (row === undefined || button === null || user === null) return;
      if (button !== row.button) filter(user);
      else if (!row.isGone) disconnect(user);
    });
  }

  get users() {
    return new Set(this.#connections.flatMap(({ user }) => (user === null ? [] : [user])));
  }

  /** @param {Sorting} sorting */
  sort(sorting) {
    this.#sorting = sorting;
    for (const cell of this.#table.querySelectorAll("th[data-column]")) {
      setAttribute(cell, "aria-sort", cell.dataset.column === sorting.key ? sorting.order : undefined);
    }
    this.#arrange();
  }

  /**
   * @param {Connection[]} connections
   * @param {boolean} isAnother whether they answer another question than those before, so that nothing has to stay
   */
  render(connections, isAnother) {
    const mayMove = isAnother || !this.#isInUse(); // asked first: a selection is found by a layout of the page
    this.#connections = connections;
    this.#table.classList.toggle("has-workers", connections.some(({ worker }) => worker !== undefined));
    const ids = new Set(connections.map(({ id }) => id));
    for (const [id, row] of this.#rows) if (!ids.has(id)) row.end();
    for (const connection of connections) {
      const row = this.#rows.get(connection.id);
      if (row) row.patch(connection);
      else this.#rows.set(connection.id, new Row(connection));
    }
    if (mayMove) this.#arrange();
    else this.#append();
  }

  clear() {
    this.#rows.clear();
    this.#connections = [];
    this.#body.replaceChildren();
  }

  /** Adds new rows at the end, and leaves all others where they are. */
  #append() {
    for (const { element } of this.#rows.values()) if (!element.isConnected) this.#body.append(element);
  }

  /** Removes the rows of ended connections, and puts the others into their order. */
  #arrange() {
    const focused = this.#body.contains(document.activeElement) ? document.activeElement : null;
    /** @type {HTMLElement | null} */
    let pinned = focused?.closest("tr") ?? null;
    for (const [id, row] of this.#rows) {
      if (!row.isGone) continue;
      this.#rows.delete(id);
      if (row.element === pinned) pinned = this.#passFocusOn(row.element);
      row.element.remove();
    }
    const column = COLUMNS.find(({ key }) => key === this.#sorting.key) ?? COLUMNS[0];
    let next = this.#body.firstElementChild;
    for (const { id } of sorted(this.#connections, column, this.#sorting.order)) {
      const element = /** @type {Row} */ (this.#rows.get(id)).element;
      if (element === pinned) {
        // What lies between belongs behind: it is put into its place later.
        while (next !== pinned) [next] = [next.nextElementSibling, this.#body.append(next)];
      }
      if (element === next) next = next.nextElementSibling;
      else this.#body.insertBefore(element, next);
    }
  }

  /**
   * Gives the focus to the nearest row that stays, or to the heading of the table.
   * @param {HTMLElement} from a row that is about to be removed
   * @returns {HTMLElement | null} the row that has the focus now
   */
  #passFocusOn(from) {
    for (const step of /** @type {const} */ (["nextElementSibling", "previousElementSibling"])) {
      for (let row = from[step]; row !== null; row = row[step]) {
        if (row.classList.contains("gone")) continue;
        find(".disconnect", row).focus({ preventScroll: true });
        return /** @type {HTMLElement} */ (row);
      }
    }
    find("#connections-title").focus({ preventScroll: true });
    return null;
  }

  /** Whether the reader is about to click, to type or to copy something in the table. */
  #isInUse() {
    if (performance.now() - this.#movedAt < REST_MS) return true;
    const selection = getSelection();
    return selection !== null && !selection.isCollapsed && this.#body.contains(selection.anchorNode);
  }

  /** @param {import("./columns.js").Column} column */
  #nextSorting({ key, first }) {
    if (key !== this.#sorting.key) return { key, order: first };
    const order = this.#sorting.order === "ascending" ? "descending" : "ascending";
    return { key, order: /** @type {Sorting["order"]} */ (order) };
  }
}

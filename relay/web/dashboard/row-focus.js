// @ts-check
// The keyboard focus in the list: Tab stops at one row only, and the arrow keys lead from there to the others.

import { find } from "./dom.js";

const ROWS = ".section[open]:not([hidden]) .row:not(.vacant)";

export class RowFocus {
  #scroller;
  /** @type {HTMLElement | null} The title of the row that Tab stops at. */
  #tabStop = null;

  /** @param {HTMLElement} scroller */
  constructor(scroller) {
    this.#scroller = scroller;
    scroller.addEventListener("focusin", ({ target }) => this.#stopAt(target));
  }

  /** The task whose row has the focus. */
  get taskId() {
    return document.activeElement?.closest(".row")?.getAttribute("data-task-id") ?? null;
  }

  /**
   * Moves the focus.
   * @param {Element | null | undefined} from the row to start at; the first without one
   * @param {number} by how many rows further, negative for back
   */
  step(from, by) {
    const elements = [...this.#scroller.querySelectorAll(ROWS)];
    const at = from ? elements.indexOf(from) : -1;
    const next = elements[at < 0 ? 0 : Math.min(elements.length - 1, Math.max(0, at + by))];
    if (next) this.moveTo(next);
  }

  /** @param {Element} row */
  moveTo(row) {
    find(".row-title", row).focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  /** Finds another row for Tab to stop at, if the last one is gone. */
  keep() {
    if (!this.#tabStop?.isConnected) this.#stopAt(this.#scroller.querySelector(".row-title"));
  }

  /** @param {EventTarget | null} title */
  #stopAt(title) {
    if (!(title instanceof HTMLElement) || !title.matches(".row-title")) return;
    if (this.#tabStop) this.#tabStop.tabIndex = -1;
    this.#tabStop = title;
    title.tabIndex = 0;
  }
}

// @ts-check
// What the reader sees of rows that move: what they look at stays where it is, and what moves is animated.

import { isInSight } from "./chunks.js";
import { Pace, slideIn, travel } from "./motion.js";

/** @import { Row } from "./row.js" */

const MOVING_MAX = 12; // if more rows move at once, they are not animated
const HEAD_PX = 32; // the head of a section lies over the rows at the top

export class RowMotion {
  #scroller;
  #rowOf;
  #pace = new Pace();
  #animates = false;
  /** @type {Map<Row, number>} Where the visible rows were before they moved. */
  #tops = new Map();

  /**
   * @param {HTMLElement} scroller
   * @param {(element: Element) => Row | undefined} rowOf
   */
  constructor(scroller, rowOf) {
    this.#scroller = scroller;
    this.#rowOf = rowOf;
  }

  /**
   * Measures the visible rows, before they move.
   * @param {boolean} atOnce without an animation
   */
  before(atOnce) {
    this.#animates = this.#pace.allows() && !atOnce;
    const keepsPlace = !atOnce && this.#scroller.scrollTop > 0;
    this.#tops = this.#animates || keepsPlace ? this.#positions() : new Map();
  }

  /**
   * Scrolls and animates, after rows have moved.
   * @param {Row[]} moved
   */
  after(moved) {
    this.#keepPlace(new Set(moved));
    if (this.#animates && moved.length <= MOVING_MAX) this.#animate(moved);
    this.#tops = new Map();
  }

  /**
   * Keeps the first row that the reader sees, and that did not move itself, at its place. At the top of the list
   * nothing is kept there, because new rows are to be seen.
   * @param {Set<Row>} moved
   */
  #keepPlace(moved) {
    if (this.#scroller.scrollTop === 0) return;
    const top = this.#scroller.getBoundingClientRect().top + HEAD_PX;
    for (const [row, before] of this.#tops) {
      if (before < top || moved.has(row) || !row.element?.isConnected) continue;
      this.#scroller.scrollTop += row.element.getBoundingClientRect().top - before;
      return;
    }
  }

  #positions() {
    /** @type {Map<Row, number>} */
    const tops = new Map();
    const { top, bottom } = this.#scroller.getBoundingClientRect();
    for (const chunk of this.#scroller.querySelectorAll(".chunk.in-sight")) {
      for (const element of chunk.children) {
        const at = element.getBoundingClientRect();
        const row = this.#rowOf(element);
        if (row && at.bottom > top && at.top < bottom) tops.set(row, at.top);
      }
    }
    return tops;
  }

  /** @param {Row[]} moved */
  #animate(moved) {
    for (const [row, top] of this.#tops) {
      // Do not measure a row out of sight: the browser would have to lay out its whole chunk.
      const measured = row.element?.isConnected && isInSight(row.element.parentElement);
      const by = measured ? top - /** @type {Element} */ (row.element).getBoundingClientRect().top : 0;
      if (row.element && by !== 0) travel(row.element, by);
    }
    for (const row of moved) {
      const { element } = row;
      if (!this.#tops.has(row) && element && isInSight(element.parentElement)) slideIn(element);
    }
  }
}

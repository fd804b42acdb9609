// @ts-check
// The pill "2 new above": rows that came into the list above what a reader sees who has scrolled down.

import { find, setText } from "./dom.js";
import { isInSight } from "./chunks.js";
import { say } from "./language.js";
import { moves } from "./motion.js";

/** @import { Row } from "./row.js" */

const HEAD_PX = 32; // the head of a section lies over the rows at the top

export class AboveView {
  /** @type {Set<Row>} */
  #rows = new Set();
  #pill = find("#above");
  #scroller;
  #frame = 0;

  /** @param {HTMLElement} scroller */
  constructor(scroller) {
    this.#scroller = scroller;
    this.#pill.addEventListener("click", () => this.#goThere());
    scroller.addEventListener("scroll", () => this.#check(), { passive: true });
  }

  /** @param {Row[]} rows that have just come to their places */
  add(rows) {
    if (this.#scroller.scrollTop === 0) return;
    for (const row of rows) if (this.#isAbove(row)) this.#rows.add(row);
    this.#show();
  }

  clear() {
    this.#rows.clear();
    this.#show();
  }

  /** Looks again, once a frame, what is still above. */
  #check() {
    if (this.#rows.size === 0) return;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      for (const row of this.#rows) if (!this.#isAbove(row)) this.#rows.delete(row);
      this.#show();
    });
  }

  #show() {
    const count = this.#rows.size;
    this.#pill.hidden = count === 0;
    if (count > 0) setText(find("span:last-child", this.#pill), say("list.above", { count }));
  }

  /** Scrolls to the lowest of them. If there are others above it, the pill stays. */
  #goThere() {
    const top = (/** @type {Row} */ row) => row.element?.getBoundingClientRect().top ?? -Infinity;
    const [lowest] = [...this.#rows].filter((row) => row.element?.isConnected).sort((a, b) => top(b) - top(a));
    lowest?.element?.scrollIntoView({ block: "center", behavior: moves() ? "smooth" : "instant" });
  }

  /** @param {Row} row */
  #isAbove({ element }) {
    if (!element?.isConnected || !element.closest("details")?.open) return false;
    const top = this.#scroller.getBoundingClientRect().top + HEAD_PX;
    const chunk = /** @type {Element} */ (element.parentElement);
    if (chunk.getBoundingClientRect().bottom <= top) return true;
    // Do not measure a row in a chunk out of sight: the browser would have to lay out the chunk.
    return isInSight(chunk) && element.getBoundingClientRect().bottom <= top;
  }
}

// @ts-check
// The line between the list and the task: dragged, or moved with the arrow keys. The width of the list is remembered.

import { find } from "./dom.js";
import { memory } from "./memory.js";

const NAME = "list-width";
const WIDTH = 420; // px
const WIDTH_MIN = 320;
const WIDTH_MAX = 800;
const DETAIL_MIN = 480; // the task keeps at least this much
const STEP = 16;

export class Divider {
  #divider = find("#divider");
  #panes = find(".panes");
  #width = WIDTH;

  constructor() {
    memory.onChange(NAME, () => this.#set(Number(memory.get(NAME)) || WIDTH));
    addEventListener("resize", () => this.#show());
    this.#divider.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.#grab(event));
    this.#divider.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => this.#drag(event));
    this.#divider.addEventListener("lostpointercapture", () => this.#remember());
    this.#divider.addEventListener("dblclick", () => this.#choose(WIDTH));
    this.#divider.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#press(event));
    this.#show();
  }

  get #max() {
    return Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, innerWidth - DETAIL_MIN));
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    if (event.button !== 0) return;
    event.preventDefault(); // no selection of text while dragging
    this.#divider.focus({ preventScroll: true });
    this.#divider.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    if (!this.#divider.hasPointerCapture(event.pointerId)) return;
    this.#set(Math.min(this.#max, event.clientX - this.#panes.getBoundingClientRect().left));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = Math.min(this.#width, this.#max);
    const width = new Map([
      ["ArrowLeft", shown - STEP],
      ["ArrowRight", shown + STEP],
      ["Home", WIDTH_MIN],
      ["End", this.#max],
      ["Enter", WIDTH],
    ]).get(event.key);
    if (width === undefined) return;
    event.preventDefault();
    this.#choose(width);
  }

  /** @param {number} width */
  #choose(width) {
    this.#set(Math.min(this.#max, width));
    this.#remember();
  }

  /** @param {number} width */
  #set(width) {
    this.#width = Math.round(Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, width)));
    this.#show();
  }

  #remember() {
    memory.set(NAME, this.#width === WIDTH ? undefined : this.#width);
  }

  /** In a window that has become narrower, the list is narrower as well, and gets its width back with the window. */
  #show() {
    const shown = Math.min(this.#width, this.#max);
    const { style } = this.#panes;
    if (shown !== WIDTH) style.setProperty("--list-width", `${shown}px`);
    else if (style.length > 0) this.#panes.removeAttribute("style");
    this.#divider.setAttribute("aria-valuenow", String(shown));
    this.#divider.setAttribute("aria-valuemin", String(WIDTH_MIN));
    this.#divider.setAttribute("aria-valuemax", String(this.#max));
  }
}

// @ts-check
// The buttons above the timeline that show only events of one kind, each with how many there are.

import { find, setAttribute, setDocumentText, setText, stamp } from "./dom.js";
import { kindText } from "./entry.js";
import { locale, say } from "./language.js";

/** @import { Kind } from "../view/index.js" */

const KINDS_MAX = 200; // past this many, those with the fewest events have no button
const numbers = new Intl.NumberFormat(locale);

export class KindsView {
  #box = find(".kinds");
  /** @type {Map<Kind | undefined, HTMLElement>} undefined for all kinds */
  #buttons = new Map();
  /** @type {Kind[]} */
  #order = [];
  #sortedAt = 0; // how many events there were when the buttons were put in order

  /** @param {(kind: Kind | undefined) => void} choose called with undefined for all kinds */
  constructor(choose) {
    this.#box.addEventListener("wheel", (/** @type {WheelEvent} */ { deltaY }) => (this.#box.scrollLeft += deltaY), { passive: true });
    this.#box.addEventListener("click", (/** @type {MouseEvent} */ { target }) => {
      const button = /** @type {Element} */ (target).closest("button");
      for (const [kind, each] of this.#buttons) {
        if (each === button) choose(button.getAttribute("aria-pressed") === "true" ? undefined : kind);
      }
    });
    this.#box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#pressed(event));
    this.#box.addEventListener("focusin", (/** @type {FocusEvent} */ { target }) => this.#stopAt(target));
    this.#box.addEventListener("focusout", () => this.#stopAt(null));
  }

  /**
   * @param {ReadonlyMap<Kind, number>} counts
   * @param {number} total
   * @param {Kind | undefined} only the kind that is shown
   */
  render(counts, total, only) {
    this.#box.hidden = total === 0;
    this.#sort(counts, total);
    const kinds = this.#order.filter((kind, place) => (place < KINDS_MAX && counts.has(kind)) || kind === only);
    /** @type {[Kind | undefined, number][]} */
    const shown = [[undefined, total], ...kinds.map((kind) => /** @type {[Kind, number]} */ ([kind, counts.get(kind) ?? 0]))];
    for (const [kind, button] of this.#buttons) {
      if (shown.some(([each]) => each === kind)) continue;
      button.remove();
      this.#buttons.delete(kind);
    }
    shown.forEach(([kind, count], place) => {
      const button = this.#button(kind);
      setText(find(".count", button), numbers.format(count));
      setAttribute(button, "aria-pressed", String(kind === only));
      if (this.#box.children[place] !== button) this.#box.insertBefore(button, this.#box.children[place] ?? null);
    });
    this.#stopAt(document.activeElement);
  }

  /**
   * The arrow keys lead from button to button.
   * @param {KeyboardEvent} event
   */
  #pressed(event) {
    const buttons = /** @type {HTMLElement[]} */ ([...this.#box.children]);
    const at = buttons.indexOf(/** @type {HTMLElement} */ (event.target));
    const places = new Map([["ArrowRight", at + 1], ["ArrowLeft", at - 1], ["Home", 0], ["End", buttons.length - 1]]);
    const place = places.get(event.key);
    if (place === undefined) return;
    event.preventDefault();
    buttons[place]?.focus();
  }

  /**
   * Lets the key Tab lead to one of the buttons: to the one with the focus, else to the one that is pressed.
   * @param {EventTarget | null} focused
   */
  #stopAt(focused) {
    const buttons = [...this.#buttons.values()];
    const stop = buttons.find((each) => each === focused) ?? buttons.find((each) => each.getAttribute("aria-pressed") === "true");
    for (const button of buttons) setAttribute(button, "tabindex", button === stop ? "0" : "-1");
  }

  /**
   * Sorts the kinds by how many events they have. Kinds that are new come last, and only when the timeline has doubled
   * all of them are sorted again: the buttons stay where a pointer is about to press them.
   * @param {ReadonlyMap<Kind, number>} counts
   * @param {number} total
   */
  #sort(counts, total) {
    const isSorted = total >= this.#sortedAt && total < 2 * this.#sortedAt;
    if (!isSorted) {
      this.#sortedAt = total;
      this.#order = [...counts].sort(([, a], [, b]) => b - a).map(([kind]) => kind);
      return;
    }
    const known = new Set(this.#order);
    for (const kind of counts.keys()) if (!known.has(kind)) this.#order.push(kind);
  }

  /** @param {Kind | undefined} kind */
  #button(kind) {
    let button = this.#buttons.get(kind);
    if (!button) {
      button = stamp("kind-template");
      const name = kind === undefined ? say("timeline.all") : kindText(kind);
      setDocumentText(find(".kind-name", button), name);
      if (name.length > 20) button.title = name; // it may be cut
      this.#buttons.set(kind, button);
    }
    return button;
  }
}

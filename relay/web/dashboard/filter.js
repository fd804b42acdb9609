// @ts-check
// What of the list is wanted: words in the field, and one section or all.

import { find, setAttribute, setText } from "./dom.js";
import { SECTIONS } from "./stages.js";

/** @typedef {import("/client/index.js").TaskSummary} TaskSummary */
/** @typedef {import("./stages.js").Section} Section */
/** @typedef {{words: string, section: Section | null}} Filter `words` in lower case */

export class FilterView {
  /** @type {Filter} Another object whenever it changes. */
  current = { words: "", section: null };
  #field = /** @type {HTMLInputElement} */ (find("#filter"));
  #buttons = SECTIONS.map((key) => /** @type {HTMLElement} */ (find(`[data-filter="${key}"]`)));
  #changed;

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
    this.#field.addEventListener("input", () => this.#set({ words: this.#field.value.trim().toLowerCase() }));
    SECTIONS.forEach((key, index) => {
      this.#buttons[index].addEventListener("click", () => this.#set({ section: this.current.section === key ? null : key }));
    });
  }

  /** As the reader typed it. */
  get text() {
    return this.#field.value.trim();
  }

  get isOn() {
    return this.current.words !== "" || this.current.section !== null;
  }

  focus() {
    this.#field.focus();
    this.#field.select();
  }

  clear() {
    this.#field.value = "";
    this.#set({ words: "", section: null });
  }

  /** @param {Map<Section, number>} counts */
  render(counts) {
    SECTIONS.forEach((key, index) => {
      const count = counts.get(key) ?? 0;
      const button = this.#buttons[index];
      setText(find(".filter-count", button), String(count));
      button.classList.toggle("empty", count === 0);
    });
  }

  /** @param {Partial<Filter>} change */
  #set(change) {
    this.current = { ...this.current, ...change };
    SECTIONS.forEach((key, index) => setAttribute(this.#buttons[index], "aria-pressed", String(this.current.section === key)));
    this.#changed();
  }
}

/**
 * Whether the words of the filter let a task through.
 * @param {TaskSummary} task
 * @param {Filter} filter
 */
export function matches({ title, creator, status, issueNumber, prNumber }, { words }) {
  if (words === "") return true;
  const numbers = [issueNumber, prNumber].map((number) => number && `#${number}`);
  return [title, creator, status, ...numbers].some((text) => text && text.toLowerCase().includes(words));
}

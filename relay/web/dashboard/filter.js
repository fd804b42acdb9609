// @ts-check
// The filter of the list: words in the field, and one section or all.

import { readable, SECTIONS } from "../view/index.js";
import { find, setAttribute, setText, stamp } from "./dom.js";

/** @import { Section } from "../view/index.js" */
/** @typedef {{words: string, section: Section | null}} Filter `words` in lower case */

export class FilterView {
  /** @type {Filter} A new object whenever it changes. */
  current = { words: "", section: null };
  #field = find("#filter");
  #buttons = SECTIONS.map(filterButton);
  #changed;

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
    this.#field.addEventListener("input", () => this.#set({ words: this.#field.value.trim().toLowerCase() }));
    find(".filters").append(...this.#buttons);
    SECTIONS.forEach((key, index) => {
      const toggle = () => this.#set({ section: this.current.section === key ? null : key });
      this.#buttons[index].addEventListener("click", toggle);
    });
  }

  /** The text as the reader typed it. */
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
      setText(find(".count", button), String(count));
      button.classList.toggle("empty", count === 0);
    });
  }

  /** @param {Partial<Filter>} change */
  #set(change) {
    this.current = { ...this.current, ...change };
    SECTIONS.forEach((key, index) => {
      setAttribute(this.#buttons[index], "aria-pressed", String(this.current.section === key));
    });
    this.#changed();
  }
}

/** @param {Section} key */
function filterButton(key) {
  const button = stamp("filter-template");
  button.dataset.filter = key;
  button.prepend(`${readable(key)} `);
  return button;
}

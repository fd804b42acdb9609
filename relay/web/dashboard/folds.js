// @ts-check
// Which sections of the list the reader has folded, which is remembered.

import { memory } from "./memory.js";

/** @import { Section } from "../view/index.js" */

const NAME = "folded";

export class Folds {
  #sections;

  /** @param {ReadonlyMap<Section, {element: HTMLDetailsElement}>} sections */
  constructor(sections) {
    this.#sections = sections;
    memory.onChange(NAME, () => this.#show());
  }

  /** Remembers which sections are folded now. */
  remember() {
    memory.set(NAME, [...this.#sections].filter(([, { element }]) => !element.open).map(([section]) => section));
  }

  #show() {
    const folded = memory.get(NAME);
    for (const [section, { element }] of this.#sections) {
      element.open = !(Array.isArray(folded) && folded.includes(section));
    }
  }
}

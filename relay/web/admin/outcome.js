// @ts-check
// Shows what came of an action, on the page and to a screen reader.

import { find, setText } from "../dashboard/dom.js";

export class Outcome {
  #section = find("#result");
  #said = find("#said");

  constructor() {
    find(".close", this.#section).addEventListener("click", () => this.clear());
  }

  /**
   * @param {string} text
   * @param {{isError?: boolean, items?: string[]}} [more]
   */
  show(text, { isError = false, items = [] } = {}) {
    this.#section.hidden = false;
    this.#section.classList.toggle("error", isError);
    setText(find("p", this.#section), text);
    find("ul", this.#section).replaceChildren(...items.map((item) => {
      const element = document.createElement("li");
      element.textContent = item;
      return element;
    }));
    this.say([text, ...items].join(" "));
  }

  clear() {
    this.#section.hidden = true;
    this.#said.textContent = "";
  }

  /**
   * Says something to a screen reader only.
   * @param {string} text
   */
  say(text) {
    this.#said.textContent = ""; // the same text twice is two announcements
    this.#said.textContent = text;
  }
}

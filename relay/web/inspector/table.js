// @ts-check
// Elements of the panel: a table that is brought up to date in place, so that a selection in it stays.

/**
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, children = []) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export class Table {
  /** The heading, and the table in a place that scrolls. */
  elements;
  #body = make("tbody");
  #columns;

  /**
   * @param {string} title
   * @param {string[]} columns
   */
  constructor(title, columns) {
    this.#columns = columns.length;
    const head = make("tr", {}, columns.map((column) => make("th", { scope: "col" }, [column])));
    const table = make("table", {}, [make("thead", {}, [head]), this.#body]);
    // A place that scrolls can be reached with the keyboard, and has a name.
    const scroll = make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, [table]);
    this.elements = [make("h3", {}, [title]), scroll];
  }

  /** @param {(string | number | undefined)[][]} rows */
  show(rows) {
    while (this.#body.childElementCount > rows.length) this.#body.lastElementChild?.remove();
    rows.forEach((cells, index) => {
      const row = this.#body.children[index] ?? this.#body.appendChild(this.#row());
      cells.forEach((cell, column) => setText(row.children[column], String(cell ?? "")));
    });
  }

  #row() {
    return make("tr", {}, Array.from({ length: this.#columns }, () => make("td", { dir: "auto" })));
  }
}

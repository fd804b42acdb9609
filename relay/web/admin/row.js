// @ts-check
// The row of one connection in the table, updated in place.

import { setAttribute, setText, stamp } from "../dashboard/dom.js";
import { COLUMNS } from "./columns.js";

/** @typedef {import("./api.js").Connection} Connection */

export class Row {
  element = stamp("row-template");
  /** Whether the connection has ended: the row stays until it may be removed. */
  isGone = false;
  /** @type {HTMLElement[]} The element that holds the text of each column. */
  #cells = [];
  /** @type {string[]} The texts shown, so that unchanged ones are not written. */
  #shown = [];

  /** @param {Connection} connection */
  constructor(connection) {
    this.connection = connection;
    const [user] = this.element.children;
    this.#cells.push(/** @type {HTMLElement} */ (user.firstElementChild));
    for (const { key, title } of COLUMNS.slice(1)) {
      const cell = document.createElement("td");
      cell.setAttribute("role", "cell");
      cell.dataset.column = key;
      cell.dataset.label = title;
      this.#cells.push(cell);
    }
    const act = stamp("act-template");
    this.button = /** @type {HTMLElement} */ (act.firstElementChild);
    this.element.append(...this.#cells.slice(1), act);
    this.element.dataset.connection = connection.id;
    this.patch(connection);
  }

  /** @param {Connection} connection the same one, as it is now */
  patch(connection) {
    this.connection = connection;
    this.isGone = false;
    this.#mark();
    const { user } = connection;
    setAttribute(this.#cells[0], "title", user === null ? undefined : `Show only ${user}`);
    setAttribute(this.button, "aria-label", user === null ? undefined : `Disconnect ${user}`);
    this.element.classList.toggle("anonymous", user === null);
    COLUMNS.forEach(({ text, hint }, index) => {
      const now = text(connection);
      if (now === this.#shown[index]) return;
      this.#shown[index] = now;
      setText(this.#cells[index], now);
      if (hint) setAttribute(this.#cells[index], "title", hint(connection));
      else if (index > 0 && now.length > 12) setAttribute(this.#cells[index], "title", now); // it may be cut off
    });
  }

  /** The connection has ended. */
  end() {
    this.isGone = true;
    this.#mark();
  }

  #mark() {
    this.element.classList.toggle("gone", this.isGone);
    this.element.classList.toggle("lagging", this.connection.lagging);
    // Not `disabled`, which would take the focus away.
    setAttribute(this.button, "aria-disabled", this.isGone || this.connection.user === null ? "true" : undefined);
  }
}

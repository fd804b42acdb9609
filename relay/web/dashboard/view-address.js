// @ts-check
// What the list shows, as part of the page's address: `?q=rounding&section=failed&order=failed:newest` before
// `#/tasks/<id>`. So a view can be shared, survives a reload, and comes back with the browser's Back. Other parameters,
// as `?lang=`, stay. The orders of the sections are read once, when the page opens; from then on the address follows.
//
// It lies in the query and not behind the `#`: links to tasks then keep it without knowing of it.

import { SECTIONS } from "../view/index.js";
import { orders } from "./orders.js";

/** @import { Section } from "../view/index.js" */
/** `text` is the search. @typedef {{text: string, section: Section | null}} View */

// A longer text would make an address that servers refuse (431), and the page could not be loaded again. In UTF-8, each
// of these takes at most 9 characters of the address.
export const TEXT_CHARACTERS_MAX = 500;
// Browsers refuse changes of the address that come too often (Safari: more than 100 in 10 s, as with a key held down).
const TYPING_MS = 150;

export class ViewAddress {
  /** @type {string | null} The address that is still to be written. */
  #pending = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #writing;
  #isTyping = false;
  /** The orders that the address named when the page was opened; "" once they are taken. */
  #givenOrders = new URLSearchParams(location.search).get("order") ?? "";

  /** @param {(view: View) => void} show called after the reader has gone back or forward */
  constructor(show) {
    addEventListener("popstate", () => {
      // A link to a task came before the last letters were written: they belong to where it leads, too.
      const isWritten = this.#pending === null;
      this.settle();
      if (!isWritten) return;
      show(viewIn(location.search));
      this.#writeOrders();
    });
    orders.onChange(() => this.#followOrders());
    addEventListener("pagehide", () => this.settle());
  }

  /** The view that the address names. */
  get view() {
    return viewIn(location.search);
  }

  /**
   * Writes a view to the address. Back leads to the view before, except while somebody types: then it leads to the
   * view before the first letter.
   * @param {View} view
   * @param {{isTyping?: boolean}} [how]
   */
  write(view, { isTyping = false } = {}) {
    const query = queryOf(view, location.search);
    if (isTyping && this.#isTyping) {
      this.#pending = query;
      this.#writing ??= setTimeout(() => this.#write(), TYPING_MS);
      return;
    }
    this.settle();
    this.#isTyping = isTyping;
    if (query !== location.search) history.pushState(null, "", withQuery(query));
  }

  /** The reader has finished typing: the next letter begins another view. */
  settle() {
    this.#write();
    this.#isTyping = false;
  }

  /** Called first when the reader's own orders are known. */
  #followOrders() {
    const given = this.#givenOrders;
    this.#givenOrders = "";
    if (given === "") this.#writeOrders();
    else orders.take(given); // which calls back
  }

  #writeOrders() {
    this.settle();
    this.#pending = queryOf(viewIn(location.search), location.search);
    this.#write();
  }

  #write() {
    clearTimeout(this.#writing);
    this.#writing = undefined;
    const query = this.#pending;
    this.#pending = null;
    if (query !== null && query !== location.search) history.replaceState(null, "", withQuery(query));
  }
}

/**
 * The view that a query names. What it cannot mean is left out.
 * @param {string} query
 * @returns {View}
 */
export function viewIn(query) {
  const given = new URLSearchParams(query);
  const section = SECTIONS.find((known) => known === given.get("section")) ?? null;
  return { text: (given.get("q") ?? "").slice(0, TEXT_CHARACTERS_MAX), section };
}

/**
 * The query of a view, with the orders of now.
 * @param {View} view
 * @param {string} query what it was before, for the parameters that stay
 */
export function queryOf({ text, section }, query) {
  const given = new URLSearchParams(query);
  for (const [name, value] of [["q", text.trim()], ["section", section ?? ""], ["order", orders.text]]) {
    if (value === "") given.delete(name);
    else given.set(name, value);
  }
  const written = String(given).replaceAll("%3A", ":").replaceAll("%2C", ","); // which a query may contain as they are
  return written === "" ? "" : `?${written}`;
}

/**
 * The address of a view, without a task.
 * @param {View} view
 */
export function withView(view) {
  return `${location.pathname}${queryOf(view, location.search)}#/`;
}

/** @param {string} query */
function withQuery(query) {
  return location.pathname + query + location.hash;
}

// @ts-check
// What the list shows, as part of the page's address: `?q=rounding&section=failed` before `#/tasks/<id>`. So a view can
// be shared, survives a reload, and comes back with the browser's Back. Other parameters, as `?lang=`, stay.
//
// It lies in the query and not behind the `#`: links to tasks then keep it without knowing of it.

import { SECTIONS } from "../view/index.js";

/** @import { Section } from "../view/index.js" */
/** `text` is the search. @typedef {{text: string, section: Section | null}} View */

// Browsers refuse changes of the address that come too often (Safari: more than 100 in 10 s, as with a key held down).
const TYPING_MS = 150;

export class ViewAddress {
  /** @type {string | null} The address that is still to be written. */
  #pending = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #writing;
  #isTyping = false;

  /** @param {(view: View) => void} show called after the reader has gone back or forward */
  constructor(show) {
    addEventListener("popstate", () => {
      // A link to a task came before the last letters were written: they belong to where it leads, too.
      const isWritten = this.#pending === null;
      this.settle();
      if (isWritten) show(viewIn(location.search));
    });
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
  return { text: given.get("q") ?? "", section };
}

/**
 * @param {View} view
 * @param {string} query what it was before, for the parameters that stay
 */
export function queryOf({ text, section }, query) {
  const given = new URLSearchParams(query);
  for (const [name, value] of [["q", text.trim()], ["section", section ?? ""]]) {
    if (value === "") given.delete(name);
    else given.set(name, value);
  }
  const written = String(given).replaceAll("%3A", ":"); // as in `creator:bob`, which a query may contain as it is
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

// @ts-check
// The timeline of the open task: follows at its end, otherwise says how much is new.

import { find, setText, slideIn, stamp } from "./dom.js";
import { showExactTime } from "./facts.js";
import { readable } from "./stages.js";
import { moment, shortTime } from "./time.js";

/** @typedef {import("/client/index.js").Event} Event */
/** @typedef {{element: HTMLElement, event: Event | null}} Entry */

const AT_END_PX = 16; // this near to the end counts as there
const SLIDING_MAX = 20; // more than these at once are a state, not news
const TEXT_FIELDS = ["message", "text", "summary", "title", "error"];
const PAYLOAD_FIELDS = ["data", "payload", "metadata", "details"];
const TYPE_AND_TIME_FIELDS = new Set(["type", "eventType", "event", "kind", "at", "timestamp", "createdAt", "time"]);

export class EntriesView {
  #scroller = find(".timeline");
  #list = find(".entries");
  #newer = find(".newer");
  /** @type {Entry[]} */
  #entries = [];
  #following = true;
  #seen = 0; // entries the reader had when the end went out of view
  #lastTop = 0;

  constructor() {
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#list.addEventListener("click", ({ target }) => {
      // What someone opens stays where it is; the end may wait.
      if (target instanceof Element && target.closest("summary")) this.#stopFollowing();
    });
    this.#newer.addEventListener("click", () => this.#goToEnd());
    // Entries get their height late, the window changes: the end is kept in view all the same.
    const sizes = new ResizeObserver(() => this.#keepEnd());
    sizes.observe(this.#list);
    sizes.observe(this.#scroller);
  }

  /** Another task: start at its end. */
  clear() {
    this.#list.replaceChildren();
    this.#entries = [];
    this.#seen = 0;
    this.#following = true;
    this.#newer.hidden = true;
  }

  /** @param {readonly (Event | null)[]} events */
  render(events) {
    const arrive = this.#following && this.#entries.length > 0;
    const fresh = document.createDocumentFragment();
    events.forEach((event, index) => {
      const known = this.#entries[index];
      if (known?.event === event) return;
      const element = entryElement(event, index);
      this.#entries[index] = { element, event };
      if (known) known.element.replaceWith(element);
      else fresh.append(element);
    });
    for (const { element } of this.#entries.splice(events.length)) element.remove();
    const arrived = [...fresh.children];
    this.#list.append(fresh);
    if (arrive && arrived.length <= SLIDING_MAX) arrived.forEach(slideIn);
    if (this.#following) this.#seen = events.length;
    else this.#seen = Math.min(this.#seen, events.length);
    this.#keepEnd();
    this.#offerNewer();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const atEnd = scrollHeight - scrollTop - clientHeight <= AT_END_PX;
    // Only going up leaves the end; entries that grow below it do not.
    if (atEnd) this.#following = true;
    else if (scrollTop < this.#lastTop) this.#stopFollowing();
    this.#lastTop = scrollTop;
    if (this.#following) this.#seen = this.#entries.length;
    this.#offerNewer();
  }

  #stopFollowing() {
    this.#following = false;
  }

  #goToEnd() {
    this.#following = true;
    this.#seen = this.#entries.length;
    this.#keepEnd();
    this.#offerNewer();
    this.#scroller.focus({ preventScroll: true });
  }

  #keepEnd() {
    if (this.#following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  #offerNewer() {
    const count = this.#entries.length - this.#seen;
    this.#newer.hidden = count === 0;
    if (count > 0) setText(find("span", this.#newer), `${count} new ${count === 1 ? "event" : "events"}`);
  }
}

/**
 * @param {Event | null} event
 * @param {number} index
 */
function entryElement(event, index) {
  const element = stamp("entry-template");
  element.dataset.eventIndex = String(index);
  setText(find(".entry-index", element), String(index));
  setText(find(".entry-type", element), typeText(event));
  showEntryTime(find(".entry-time", element), moment(event?.at));
  const { text, rest } = contentOf(event?.data);
  const line = find(".entry-text", element);
  line.hidden = text === "";
  setText(line, text);
  if (rest) offerData(/** @type {HTMLDetailsElement} */ (find(".entry-data", element)), event?.data);
  return element;
}

/** @param {Event | null} event */
function typeText(event) {
  if (event === null) return "Empty";
  return event.type === null ? "Event" : readable(event.type);
}

/**
 * @param {HTMLElement} element
 * @param {number | undefined} ms
 */
function showEntryTime(element, ms) {
  setText(element, ms === undefined ? "" : shortTime(ms));
  showExactTime(element, ms);
}

/**
 * The one line a payload has for people, and whether it holds more than that.
 * @param {any} data
 * @returns {{text: string, rest: boolean}}
 */
function contentOf(data) {
  if (data === null || data === undefined) return { text: "", rest: false };
  if (typeof data !== "object") return { text: String(data), rest: false };
  for (const holder of [data, ...PAYLOAD_FIELDS.map((field) => data[field])]) {
    const field = TEXT_FIELDS.find((name) => typeof holder?.[name] === "string" && holder[name] !== "");
    if (!field) continue;
    const own = holder === data ? [field] : [];
    return { text: holder[field], rest: holder !== data || hasMore(data, own) };
  }
  return { text: "", rest: Array.isArray(data) || hasMore(data, []) };
}

/**
 * @param {object} data
 * @param {string[]} shown
 */
function hasMore(data, shown) {
  return Object.keys(data).some((key) => !TYPE_AND_TIME_FIELDS.has(key) && !shown.includes(key));
}

/**
 * The JSON is written out only when someone looks: events may be large and many.
 * @param {HTMLDetailsElement} details
 * @param {unknown} data
 */
function offerData(details, data) {
  details.hidden = false;
  details.addEventListener("toggle", () => setText(find("pre", details), JSON.stringify(data, null, 2)), { once: true });
}

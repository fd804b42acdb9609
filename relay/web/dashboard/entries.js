// @ts-check
// The timeline of the open task. At its end it follows new events; elsewhere it shows how many are new.

import { parseTime } from "../view/index.js";
import { Chunks, settle, takeOut } from "./chunks.js";
import { find, setText } from "./dom.js";
import { entryElement, toggleData } from "./entry.js";
import { Pace, slideIn } from "./motion.js";

/** @import { Event } from "../client/index.js" */
/** @typedef {{element: HTMLElement, event: Event | null}} Entry */

const AT_END_PX = 16; // a position this close to the end counts as the end
const SLIDING_MAX = 8; // more at once come from a state, so they are not animated
const CHUNK = 50;
const CHUNKS_AT_ONCE = 4;
const BUILT_AT_ONCE = CHUNK * CHUNKS_AT_ONCE; // entries; a long timeline is built from its end, over several frames

export class EntriesView {
  #scroller = find(".timeline");
  #list = find(".entries");
  #chunks = new Chunks(this.#list);
  #newer = find(".newer");
  /** @type {readonly (Event | null)[]} */
  #events = [];
  /** @type {Entry[]} The entries that are built: those from `#start` on. */
  #entries = [];
  #start = 0;
  #frame = 0;
  #pace = new Pace();
  #following = true;
  #seen = 0; // how many entries there were when the reader left the end
  #lastTop = 0;

  constructor() {
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#list.addEventListener("click", (/** @type {any} */ { target }) => {
      if (target.closest(".entry-more")) this.#toggle(target.closest(".entry"));
    });
    this.#newer.addEventListener("click", () => this.goToEnd());
    // Keep the end in view whenever a height changes.
    const sizes = new ResizeObserver(() => this.#keepEnd());
    sizes.observe(this.#list);
    sizes.observe(this.#scroller);
  }

  /** Removes everything, for another task. */
  clear() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#list.replaceChildren();
    this.#events = [];
    this.#entries = [];
    this.#start = 0;
    this.#seen = 0;
    this.#following = true;
    this.#newer.hidden = true;
  }

  /**
   * Shows these events.
   * @param {readonly (Event | null)[]} events
   */
  render(events) {
    const arrive = this.#following && this.#entries.length > 0;
    this.#events = events;
    if (this.#entries.length === 0) this.#start = Math.max(0, events.length - BUILT_AT_ONCE);
    this.#start = Math.min(this.#start, events.length);
    this.#patch();
    const arrived = this.#append();
    if (arrived.length > 0 && this.#pace.allows() && arrive && arrived.length <= SLIDING_MAX) arrived.forEach(slideIn);
    if (this.#following) this.#seen = events.length;
    else this.#seen = Math.min(this.#seen, events.length);
    this.#list.classList.toggle("of-days", spansDays(events));
    this.#offerNewer();
    this.#buildOn();
  }

  /** Scrolls to the end, and follows it from now on. */
  goToEnd() {
    this.#following = true;
    this.#seen = this.#events.length;
    this.#keepEnd();
    this.#offerNewer();
    this.#scroller.focus({ preventScroll: true });
  }

  /** Replaces the entries that changed, and removes those that no longer exist. */
  #patch() {
    for (const { element } of this.#entries.splice(Math.max(0, this.#events.length - this.#start))) takeOut(element);
    this.#entries.forEach((entry, offset) => {
      const event = this.#events[this.#start + offset];
      if (entry.event === event) return;
      const element = entryElement(event, this.#start + offset);
      entry.element.replaceWith(element);
      this.#entries[offset] = { element, event };
    });
  }

  #append() {
    const from = this.#start + this.#entries.length;
    const fresh = this.#built(from, Math.min(this.#events.length, from + BUILT_AT_ONCE));
    this.#entries.push(...fresh);
    for (const { element } of fresh) this.#chunks.insert(element, null);
    return fresh.map(({ element }) => element);
  }

  /** Builds more entries before and after those that are built, some in each frame. */
  #buildOn() {
    const isWhole = this.#start === 0 && this.#entries.length === this.#events.length;
    if (isWhole || this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#append();
      for (let chunk = 0; chunk < CHUNKS_AT_ONCE; chunk += 1) this.#prepend();
      this.#buildOn();
    });
  }

  #prepend() {
    const from = Math.max(0, this.#start - CHUNK);
    const fresh = this.#built(from, this.#start);
    if (fresh.length === 0) return;
    const { scrollHeight, scrollTop } = this.#scroller;
    this.#start = from;
    this.#entries.unshift(...fresh);
    const chunk = this.#chunks.prepend();
    chunk.append(...fresh.map(({ element }) => element));
    settle(chunk);
    if (!this.#following) this.#scroller.scrollTop = scrollTop + this.#scroller.scrollHeight - scrollHeight;
  }

  /**
   * @param {number} from
   * @param {number} to
   * @returns {Entry[]}
   */
  #built(from, to) {
    return this.#events.slice(from, to).map((event, offset) => {
      return { element: entryElement(event, from + offset), event };
    });
  }

  /** @param {HTMLElement} element */
  #toggle(element) {
    this.#following = false; // an entry that the reader opens must not scroll away
    toggleData(element, this.#events[Number(element.dataset.eventIndex)]);
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const atEnd = scrollHeight - scrollTop - clientHeight <= AT_END_PX;
    // Only scrolling up leaves the end: entries that grow below it do not.
    if (atEnd) this.#following = true;
    else if (scrollTop < this.#lastTop) this.#following = false;
    this.#lastTop = scrollTop;
    if (this.#following) this.#seen = this.#events.length;
    this.#offerNewer();
  }

  #keepEnd() {
    if (this.#following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  #offerNewer() {
    const count = this.#events.length - this.#seen;
    this.#newer.hidden = count === 0;
    if (count > 0) setText(find("span:last-child", this.#newer), `${count} new ${count === 1 ? "event" : "events"}`);
  }
}

/**
 * Whether times need their day, because the first event is not of today.
 * @param {readonly (Event | null)[]} events
 */
function spansDays(events) {
  const first = parseTime(events.find((event) => event?.at)?.at);
  return first !== undefined && new Date(first).toDateString() !== new Date().toDateString();
}

// @ts-check
// The elements of a timeline's events. They lie in chunks, which the browser skips while they are out of sight, and a
// long timeline is built from its end, some chunks at a time.

import { dayElement, entryElement, showData, showDay, showPlace } from "./entry.js";

/** @import { Event } from "../client/index.js" */
/** @import { Line, Outline } from "../view/index.js" */
/** @typedef {{element: HTMLElement, event: Event | null, day: HTMLElement | null}} Entry */

const CHUNK = 50;
const BUILT_AT_ONCE = 200; // entries

export class EntryList {
  #list;
  #outline;
  /** @type {Entry[]} The entries that are built: those from `start` on. */
  #entries = [];
  #start = 0;
  /** @type {Map<number, HTMLElement>} By the index of the first event, divided by `CHUNK`. */
  #chunks = new Map();
  #stop = -1; // the entry whose buttons and links the key Tab leads to
  /** @type {Set<HTMLElement>} Chunks whose height, while they are skipped, has to be set again. */
  #unsettled = new Set();

  /**
   * @param {HTMLElement} list
   * @param {Outline} outline
   */
  constructor(list, outline) {
    this.#list = list;
    this.#outline = outline;
  }

  /** The index of the first entry that is built. */
  get start() {
    return this.#start;
  }

  /** The index after the last entry that is built. */
  get end() {
    return this.#start + this.#entries.length;
  }

  clear() {
    this.#list.replaceChildren();
    this.#entries = [];
    this.#chunks.clear();
    this.#unsettled.clear();
    this.#start = 0;
    this.#stop = -1;
  }

  /** The entry whose buttons and links the key Tab leads to. Those of all entries would be thousands. */
  get stop() {
    return this.#stop;
  }

  set stop(index) {
    const before = this.#stop;
    this.#stop = index;
    for (const each of new Set([before, index])) this.#setStop(each);
  }

  /**
   * The buttons and links in the line of an entry.
   * @param {number} index
   */
  controls(index) {
    const all = this.element(index)?.querySelectorAll("a, button") ?? [];
    return /** @type {HTMLElement[]} */ ([...all]).filter((control) => !control.closest(".block"));
  }

  /**
   * @param {number} index
   * @returns {HTMLElement | undefined}
   */
  element(index) {
    return this.#entries[index - this.#start]?.element;
  }

  /**
   * Whether an event has a line that can be seen.
   * @param {number} index
   */
  isShown(index) {
    return this.#outline.line(index) !== undefined && !this.#outline.isFolded(index) && index < this.end;
  }

  /**
   * The nearest event after or before an index that has a line.
   * @param {number} index
   * @param {1 | -1} step
   * @returns {number} -1 if there is none
   */
  next(index, step) {
    for (let at = index + step; at >= this.#start && at < this.end; at += step) if (this.isShown(at)) return at;
    return -1;
  }

  /**
   * Follows a change of the outline in the entries that are built.
   * @param {readonly (Event | null)[]} events
   * @param {number} from the index of the first event that changed
   */
  patch(events, from) {
    for (const entry of this.#entries.splice(Math.max(0, events.length - this.#start))) this.#remove(entry);
    this.#start = Math.min(this.#start, events.length);
    const run = this.#outline.line(from - 1)?.run;
    if (run) for (const index of new Set([run.first, from - 1])) this.#place(index);
    for (let index = Math.max(from, this.#start); index < this.end; index += 1) {
      this.#renew(index, events[index]);
      this.#place(index);
    }
    this.#settle();
  }

  /**
   * Places the entries of a run again, after it was folded or unfolded.
   * @param {import("../view/index.js").Run} run
   */
  placeRun({ first, last }) {
    for (let index = Math.max(first, this.#start); index <= last && index < this.end; index += 1) this.#place(index);
    this.#settle();
  }

  /**
   * Builds the next entries at the end, as many as are built at once.
   * @param {readonly (Event | null)[]} events
   * @returns {HTMLElement[]} the new entries
   */
  append(events) {
    if (this.#entries.length === 0) this.#start = chunkStart(Math.max(0, events.length - BUILT_AT_ONCE));
    const from = this.end;
    const until = Math.min(events.length, from + BUILT_AT_ONCE);
    for (let index = from; index < until; index += 1) {
      const entry = this.#built(events[index], index);
      this.#entries.push(entry);
      this.#chunkOf(index).append(entry.element);
      this.#place(index);
    }
    this.#settle();
    return this.#entries.slice(from - this.#start).map(({ element }) => element);
  }

  /**
   * Builds entries before those that are built.
   * @param {readonly (Event | null)[]} events
   * @param {number} [to] as many as are built at once, or all from this index on
   */
  prepend(events, to = this.#start - BUILT_AT_ONCE) {
    const from = chunkStart(Math.max(0, to));
    const count = this.#start - from;
    if (count <= 0) return;
    /** @type {Entry[]} */
    const entries = [];
    for (let index = from; index < this.#start; index += 1) entries.push(this.#built(events[index], index));
    this.#entries.unshift(...entries);
    this.#start = from;
    for (let index = from + count - 1; index >= from; index -= 1) {
      this.#chunkOf(index).prepend(entries[index - from].element);
      this.#place(index);
    }
    this.#settle();
  }

  /**
   * Shows or hides the data of an event.
   * @param {number} index
   * @param {boolean} isOpen
   */
  open(index, isOpen) {
    const entry = this.#entries[index - this.#start];
    this.#outline.hold(index, isOpen);
    showData(entry.element, entry.event, isOpen);
    this.#place(index);
    this.#settle();
  }

  /** Names the days again, after midnight. */
  nameDays() {
    for (const { day } of this.#entries) if (day) showDay(day);
  }

  /**
   * @param {Event | null} event
   * @param {number} index
   * @returns {Entry}
   */
  #built(event, index) {
    return { element: entryElement(event, index, this.#outline.isHeld(index)), event, day: null };
  }

  /**
   * Replaces an entry whose event is another one now. One that was only sent again stays, with what the reader selected
   * or unfolded in it.
   * @param {number} index
   * @param {Event | null} event
   */
  #renew(index, event) {
    const entry = this.#entries[index - this.#start];
    if (entry.event === event) return;
    const isSame = JSON.stringify(entry.event) === JSON.stringify(event);
    entry.event = event;
    if (isSame) return;
    const hadFocus = entry.element.contains(document.activeElement);
    const { element } = this.#built(event, index);
    entry.element.replaceWith(element);
    entry.element = element;
    const button = element.querySelector("button");
    if (hadFocus) button?.focus({ preventScroll: true });
  }

  /** @param {number} index */
  #place(index) {
    const entry = this.#entries[index - this.#start];
    if (!entry) return;
    const line = this.#outline.line(index);
    showPlace(entry.element, line, this.#outline.isFolded(index), line !== undefined && this.#outline.isUnfolded(line.run));
    this.#placeDay(entry, line);
    this.#setStop(index);
    this.#unsettled.add(this.#chunkOf(index));
  }

  /** @param {number} index */
  #setStop(index) {
    for (const control of this.controls(index)) control.tabIndex = index === this.#stop ? 0 : -1;
  }

  /**
   * @param {Entry} entry
   * @param {Line | undefined} line
   */
  #placeDay(entry, line) {
    const day = line?.day;
    if (String(day) === entry.day?.dataset.day) return;
    entry.day?.remove();
    entry.day = day === undefined ? null : dayElement(day);
    if (entry.day) entry.element.before(entry.day);
  }

  /** @param {Entry} entry */
  #remove({ element, day }) {
    const chunk = /** @type {HTMLElement} */ (element.parentElement);
    element.remove();
    day?.remove();
    this.#unsettled.add(chunk);
  }

  /** @param {number} index */
  #chunkOf(index) {
    const number = Math.floor(index / CHUNK);
    let chunk = this.#chunks.get(number);
    if (!chunk) {
      chunk = document.createElement("div");
      chunk.className = "chunk";
      chunk.setAttribute("role", "none");
      this.#chunks.set(number, chunk);
      const before = this.#chunks.get(number + 1);
      this.#list.insertBefore(chunk, before ?? null);
    }
    return chunk;
  }

  /** Sets how many lines high the chunks are while the browser skips them. Removes those that are empty. */
  #settle() {
    for (const chunk of this.#unsettled) {
      if (chunk.childElementCount === 0) {
        chunk.remove();
        for (const [number, each] of this.#chunks) if (each === chunk) this.#chunks.delete(number);
        continue;
      }
      const lines = [...chunk.children].filter((child) => !(/** @type {HTMLElement} */ (child).hidden) && !child.classList.contains("folded"));
      chunk.style.setProperty("--rows", String(lines.length));
    }
    this.#unsettled.clear();
  }
}

/** @param {number} index */
function chunkStart(index) {
  return index - (index % CHUNK);
}

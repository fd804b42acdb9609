// @ts-check
// Finds texts in the timeline: those of all events, whether their elements are built, folded or closed.

import { contentOf, fold, kindOf, occurrencesIn, textsIn } from "../view/index.js";
import { find, setText } from "./dom.js";
import { kindText } from "./entry.js";
import { say } from "./language.js";

/** @import { Event } from "../client/index.js" */
/** @import { Outline } from "../view/index.js" */
/** @import { EntryList } from "./entry-list.js" */
/** @typedef {{line: string, data: string}} Texts of an event, folded: what its line shows, and what else it holds */
/**
 * `place` is the uppermost event in sight. `reveal` brings an event into sight, if `opens` with its data; `close` closes the data again.
 * @typedef {{place: () => number, reveal: (index: number, opens: boolean) => void, close: (index: number) => void}} Timeline
 */

const MARKED_AROUND = 200; // events before and after the current one: marking more would take time and be out of sight
const MARKED_PARTS = ".entry-kind, .entry-text, .entry-questions, pre";

export class Finder {
  #box = find(".finder");
  #field = find("#find");
  #opener = find(".finder-open");
  #outline;
  #entries;
  #timeline;
  /** @type {readonly (Event | null)[]} */
  #events = [];
  /** @type {WeakMap<Event, Texts>} */
  #texts = new WeakMap();
  #wanted = ""; // folded
  /** @type {number[]} The events that match. */
  #matches = [];
  #from = 0; // the uppermost event that was in sight when the field was opened
  #current = -1; // the event that was gone to
  #opened = -1; // the event whose data was opened to show a match
  #marks = "Highlight" in globalThis ? new Highlight() : null; // where the browser has none, only entries are marked

  /**
   * @param {Outline} outline
   * @param {EntryList} entries
   * @param {Timeline} timeline
   */
  constructor(outline, entries, timeline) {
    this.#outline = outline;
    this.#entries = entries;
    this.#timeline = timeline;
    if (this.#marks) CSS.highlights.set("found", this.#marks);
    this.#opener.addEventListener("click", () => this.open());
    this.#field.addEventListener("input", () => this.#search());
    this.#box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#pressed(event));
    find(".finder-next").addEventListener("click", () => this.#step(1));
    find(".finder-previous").addEventListener("click", () => this.#step(-1));
    find(".finder-close").addEventListener("click", () => this.#close());
  }

  open() {
    if (this.#box.hidden) this.#from = this.#timeline.place();
    this.#box.hidden = false;
    this.#opener.hidden = true;
    this.#field.focus();
    this.#field.select();
    this.#search();
  }

  /** Closes the field, and removes all marks. */
  leave() {
    this.#box.hidden = true;
    this.#opener.hidden = false;
    this.#field.value = "";
    this.#search();
    this.#opened = -1;
  }

  /**
   * Follows a change of the timeline.
   * @param {readonly (Event | null)[]} events
   * @param {number} from the index of the first event that changed
   */
  render(events, from) {
    this.#events = events;
    if (this.#wanted === "") return;
    this.#matches = this.#matches.filter((index) => index < from);
    for (let index = from; index < events.length; index += 1) if (this.#isMatch(index)) this.#matches.push(index);
    this.#showCount();
    this.mark();
  }

  /** Marks the matches near the current one again, after elements were built or replaced. */
  mark() {
    this.#marks?.clear();
    if (this.#wanted === "") return;
    for (const index of this.#matches) {
      if (Math.abs(index - this.#current) > MARKED_AROUND) continue;
      const element = this.#entries.element(index);
      element?.classList.toggle("found", index === this.#current);
      for (const range of this.#rangesIn(element)) this.#marks?.add(range);
    }
  }

  #search() {
    this.#unmark();
    this.#wanted = fold(this.#field.value.trim());
    this.#matches = [];
    if (this.#wanted !== "") this.render(this.#events, 0);
    if (!this.#matches.includes(this.#current)) this.#current = this.#nearest();
    if (this.#current !== -1) this.#goTo(this.#current); // also where it was before: now other parts of it may match
    this.#showCount();
    this.mark();
  }

  /**
   * The first match from where the reader was, else the last one before. The first of all may lie thousands of events
   * away. -1 without a match.
   */
  #nearest() {
    return this.#matches.find((index) => index >= this.#from) ?? this.#matches[this.#matches.length - 1] ?? -1;
  }

  /** @param {number} index */
  #isMatch(index) {
    const event = this.#events[index];
    if (!event || !this.#outline.line(index)) return false;
    const { line, data } = this.#textsOf(event);
    return line.includes(this.#wanted) || data.includes(this.#wanted);
  }

  /**
   * @param {Event} event
   * @returns {Texts}
   */
  #textsOf(event) {
    let texts = this.#texts.get(event);
    if (!texts) {
      const { text, glance, questions, block, bytes } = contentOf(event.data);
      const line = [kindText(kindOf(event)), text || glance, ...questions, block].join("\n");
      texts = { line: fold(line), data: bytes > 0 ? "" : fold(textsIn(event.data).join("\n")) };
      this.#texts.set(event, texts);
    }
    return texts;
  }

  /** @param {1 | -1} by */
  #step(by) {
    if (this.#matches.length === 0) return;
    const place = this.#matches.indexOf(this.#current) + by;
    const { length } = this.#matches;
    this.#goTo(this.#matches[(place + length) % length]);
  }

  /** @param {number} index */
  #goTo(index) {
    const event = this.#events[index];
    if (!event) return;
    this.#unmark();
    const opens = !this.#textsOf(event).line.includes(this.#wanted);
    const wasOpen = this.#outline.isHeld(index);
    this.#current = index;
    this.#timeline.reveal(index, opens);
    const element = this.#entries.element(index);
    if (element && this.#isCutOff(element)) this.#timeline.reveal(index, true);
    if (!wasOpen && this.#outline.isHeld(index)) this.#opened = index;
    this.#scrollInside(element);
    this.#showCount();
    this.mark();
  }

  /** Removes the mark of the current event, and closes what was opened to show it. */
  #unmark() {
    this.#entries.element(this.#current)?.classList.remove("found");
    if (this.#opened !== -1) this.#timeline.close(this.#opened);
    this.#opened = -1;
  }

  /**
   * Whether the first match of an entry lies in the part of its line that does not fit.
   * @param {HTMLElement} element
   */
  #isCutOff(element) {
    const [first] = this.#rangesIn(element);
    const line = find(".entry-text", element);
    if (!first) return true;
    if (!line.contains(first.startContainer)) return false;
    const [match, box] = [first.getBoundingClientRect(), line.getBoundingClientRect()];
    return match.right > box.right || match.left < box.left || match.bottom > box.bottom;
  }

  /**
   * Scrolls a traceback or the data to the match in it.
   * @param {HTMLElement | undefined} element
   */
  #scrollInside(element) {
    const [first] = this.#rangesIn(element);
    const pre = first?.startContainer.parentElement?.closest("pre");
    if (!first || !pre) return;
    const folded = pre.closest(".block.folded");
    if (folded) find(".block-fold", folded).click();
    const [match, box] = [first.getBoundingClientRect(), pre.getBoundingClientRect()];
    if (match.top < box.top || match.bottom > box.bottom) pre.scrollTop += match.top - box.top - box.height / 2;
  }

  /**
   * Where the text is found in an element.
   * @param {HTMLElement | undefined} element
   * @returns {Range[]}
   */
  #rangesIn(element) {
    if (!element) return [];
    const parts = /** @type {HTMLElement[]} */ ([...element.querySelectorAll(MARKED_PARTS)]);
    return parts.flatMap((part) => rangesIn(part, this.#wanted));
  }

  #showCount() {
    const place = this.#matches.indexOf(this.#current) + 1;
    const count = this.#matches.length;
    let text = "";
    if (this.#wanted !== "") text = count > 0 ? say("timeline.found", { place, count }) : say("timeline.found-nothing");
    setText(find(".finder-count"), text);
    for (const name of [".finder-next", ".finder-previous"]) find(name).disabled = count === 0;
  }

  #close() {
    this.leave();
    find(".timeline").focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.key === "Escape") this.#close();
    else if (event.key === "Enter" && event.target === this.#field) this.#step(event.shiftKey ? -1 : 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/**
 * @param {Element} part
 * @param {string} wanted folded
 * @returns {Range[]}
 */
function rangesIn(part, wanted) {
  const found = occurrencesIn(part.textContent ?? "", wanted);
  if (found.length === 0) return [];
  /** @type {{node: Node, from: number}[]} */
  const nodes = [];
  const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
  for (let from = 0, node = walker.nextNode(); node; node = walker.nextNode()) {
    nodes.push({ node, from });
    from += node.textContent?.length ?? 0;
  }
  return found.map(({ start, end }) => {
    const range = document.createRange();
    const [first, last] = [nodeAt(nodes, start), nodeAt(nodes, end - 1)];
    range.setStart(first.node, start - first.from);
    range.setEnd(last.node, end - last.from);
    return range;
  });
}

/**
 * @param {{node: Node, from: number}[]} nodes
 * @param {number} offset
 */
function nodeAt(nodes, offset) {
  let place = nodes.length - 1;
  while (place > 0 && nodes[place].from > offset) place -= 1;
  return nodes[place];
}

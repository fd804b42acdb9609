// @ts-check
// The timeline of the open task. At its end it follows new events; elsewhere nothing moves, and it shows how many are
// new.

import { Outline } from "../view/index.js";
import { find, setText } from "./dom.js";
import { EntryList } from "./entry-list.js";
import { Finder } from "./finder.js";
import { KindsView } from "./kinds.js";
import { say } from "./language.js";
import { Pace, slideIn } from "./motion.js";

/** @import { Event } from "../client/index.js" */
/** @import { Kind } from "../view/index.js" */

const AT_END_PX = 16; // a position this close to the end counts as the end
const SLIDING_MAX = 8; // more at once come from a state, so they are not animated

export class EntriesView {
  #scroller = find(".timeline");
  #list = find(".entries");
  #newer = find(".newer");
  #outline = new Outline();
  #entries = new EntryList(this.#list, this.#outline);
  #kinds = new KindsView((kind) => this.#choose(kind));
  #finder = new Finder(this.#outline, this.#entries, {
    place: () => this.#place()?.index ?? 0,
    reveal: (index, opens) => this.#reveal(index, opens),
    close: (index) => this.#entries.open(index, false),
  });
  /** @type {readonly (Event | null)[]} */
  #events = [];
  /** @type {Kind | undefined} The kind of events that is shown; undefined for all. */
  #only;
  #frame = 0;
  #pace = new Pace();
  #following = true;
  #seen = 0; // how many events there were when the reader left the end
  #lastTop = 0;
  #day = new Date().toDateString();
  /** @type {{index: number, top: number} | null} Where the reader was in a timeline that is being sent again. */
  #lost = null;

  constructor() {
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    for (const type of ["wheel", "touchmove", "keydown", "pointerdown"]) {
      this.#scroller.addEventListener(type, () => (this.#lost = null), { passive: true });
    }
    this.#list.addEventListener("click", (/** @type {MouseEvent} */ event) => this.#clicked(event));
    this.#list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#pressed(event));
    this.#list.addEventListener("focusin", (/** @type {FocusEvent} */ { target }) => {
      if (isControl(target)) this.#entries.stop = indexOf(target);
    });
    this.#newer.addEventListener("click", () => this.goToEnd());
    addEventListener("beforeprint", () => this.#entries.prepend(this.#events, 0));
    // Keep the end in view whenever a height changes.
    const sizes = new ResizeObserver(() => this.#resized());
    sizes.observe(this.#list);
    sizes.observe(this.#scroller);
  }

  /** Removes everything, for another task. */
  clear() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#finder.leave();
    this.#outline.clear();
    this.#entries.clear();
    this.#events = [];
    this.#only = undefined;
    this.#seen = 0;
    this.#lost = null;
    this.#follow(true);
    this.#newer.hidden = true;
    this.#kinds.render(this.#outline.counts, 0, undefined);
  }

  /**
   * Shows these events.
   * @param {readonly (Event | null)[]} events
   */
  render(events) {
    const arrive = this.#following && this.#entries.end > 0;
    this.#events = events;
    const { first, arrived } = this.#update();
    const shown = arrived.filter((element) => !element.hidden && !element.classList.contains("folded"));
    if (shown.length > 0 && this.#pace.allows() && arrive && arrived.length <= SLIDING_MAX) shown.forEach(slideIn);
    if (this.#following) this.#seen = events.length;
    else if (!this.#lost) this.#seen = Math.min(this.#seen, events.length);
    this.#list.style.setProperty("--digits", String(String(Math.max(0, events.length - 1)).length));
    this.#kinds.render(this.#outline.counts, events.length, this.#only);
    this.#finder.render(events, first);
    this.#offerNewer();
    this.#keepStop();
    this.#buildOn();
    this.tick();
  }

  /** Names the days again, if it is another day now. */
  tick() {
    const day = new Date().toDateString();
    if (day === this.#day) return;
    this.#day = day;
    this.#entries.nameDays();
  }

  /** Scrolls to the end, and follows it from now on. */
  goToEnd() {
    this.#follow(true);
    this.#update();
    this.#seen = this.#events.length;
    this.#keepEnd();
    this.#offerNewer();
    this.#scroller.focus({ preventScroll: true });
  }

  /** Opens the field that finds texts in the timeline. */
  find() {
    this.#finder.open();
  }

  /** Brings the outline and the entries up to date with the events, the filter, and the place of the reader. */
  #update() {
    const cut = this.#following ? Infinity : this.#seen;
    const first = this.#outline.update(this.#events, { only: this.#only, cut });
    if (first < this.#entries.end) this.#steadily(() => this.#entries.patch(this.#events, first));
    else this.#entries.patch(this.#events, first);
    const arrived = this.#entries.append(this.#events);
    this.#findLost();
    return { first, arrived };
  }

  /** Builds more entries before and after those that are built, some in each frame. */
  #buildOn() {
    const isWhole = this.#entries.start === 0 && this.#entries.end === this.#events.length;
    if (isWhole || this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#entries.append(this.#events);
      this.#steadily(() => this.#entries.prepend(this.#events));
      this.#finder.mark();
      this.#keepStop();
      this.#buildOn();
    });
  }

  /**
   * Changes entries in such a way that what the reader sees stays in its place.
   * @param {() => void} change
   */
  #steadily(change) {
    const place = this.#following ? null : (this.#lost ?? this.#place());
    change();
    if (!place) return;
    if (place.index < this.#events.length) this.#returnTo(place);
    else this.#lost = place;
  }

  /** The uppermost entry in sight, and how far below the upper edge it is. */
  #place() {
    const edge = this.#scroller.getBoundingClientRect().top;
    for (const chunk of this.#list.children) {
      if (chunk.getBoundingClientRect().bottom <= edge) continue;
      for (const element of chunk.querySelectorAll(":scope > [data-event-index]:not(.folded, [hidden])")) {
        const { top, bottom } = element.getBoundingClientRect();
        if (bottom > edge) return { index: indexOf(element), top: top - edge };
      }
    }
    return null;
  }

  /** @param {{index: number, top: number}} place */
  #returnTo({ index, top }) {
    let shown = index;
    if (!this.#entries.isShown(shown)) shown = this.#entries.next(index, 1);
    if (shown === -1) shown = this.#entries.next(index, -1);
    const element = this.#entries.element(shown);
    if (!element) return;
    const edge = this.#scroller.getBoundingClientRect().top;
    const by = element.getBoundingClientRect().top - edge - top;
    if (Math.abs(by) >= 1) this.#scroller.scrollTop += by;
  }

  /** Returns to where the reader was, once that part of the timeline has been sent again. */
  #findLost() {
    if (!this.#lost || this.#lost.index >= this.#entries.end) return;
    this.#returnTo(this.#lost);
    this.#lost = null;
  }

  /** @param {MouseEvent} event */
  #clicked({ target, detail }) {
    const clicked = /** @type {Element} */ (target);
    const element = clicked.closest(".entry");
    if (!element) return;
    const index = indexOf(element);
    if (clicked.closest(".entry-fold")) return this.#turnRun(index);
    if (clicked.closest(".entry-more")) return this.#turnData(index);
    if (clicked.closest("a, button, .block, .entry-questions") || !element.querySelector(".entry-more")) return;
    const isSelecting = detail > 1 || getSelection()?.isCollapsed === false;
    if (!isSelecting) this.#turnData(index);
  }

  /** @param {number} index */
  #turnData(index) {
    const isOpen = !this.#outline.isHeld(index);
    this.#leaveEnd(); // what the reader opens must not scroll away
    this.#entries.open(index, isOpen);
  }

  /**
   * Folds or unfolds a run. The button stays where it was pressed.
   * @param {number} index
   */
  #turnRun(index) {
    const run = this.#outline.line(index)?.run;
    if (!run) return;
    this.#leaveEnd();
    const unfolds = !this.#outline.isUnfolded(run);
    const top = this.#entries.element(index)?.getBoundingClientRect().top ?? 0;
    this.#entries.prepend(this.#events, run.first);
    this.#outline.unfold(run, unfolds);
    this.#entries.placeRun(run);
    const element = this.#entries.element(unfolds ? run.first : run.last);
    if (!element) return;
    this.#scroller.scrollTop += element.getBoundingClientRect().top - top;
    /** @type {HTMLElement | null} */ (element.querySelector(".entry-fold"))?.focus({ preventScroll: true });
    this.#keepStop();
  }

  /**
   * Shows only events of one kind, or all.
   * @param {Kind | undefined} kind
   */
  #choose(kind) {
    this.#only = kind;
    this.render(this.#events);
    this.#keepEnd();
  }

  /**
   * Brings an event into sight, from whatever fold.
   * @param {number} index
   * @param {boolean} opens whether to open its data
   */
  #reveal(index, opens) {
    this.#leaveEnd();
    this.#entries.prepend(this.#events, index);
    const run = this.#outline.line(index)?.run;
    if (run && this.#outline.isFolded(index)) {
      this.#outline.unfold(run, true);
      this.#entries.prepend(this.#events, run.first);
      this.#entries.placeRun(run);
    }
    if (opens && !this.#outline.isHeld(index)) this.#entries.open(index, true);
    this.#entries.element(index)?.scrollIntoView({ block: "center" });
  }

  /**
   * The arrow keys lead from the line of one entry to that of the next.
   * @param {KeyboardEvent} event
   */
  #pressed(event) {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step === 0 || !isControl(event.target)) return;
    event.preventDefault();
    let index = this.#entries.next(indexOf(event.target), step);
    while (index !== -1 && this.#entries.controls(index).length === 0) index = this.#entries.next(index, step);
    const controls = this.#entries.controls(index);
    const alike = controls.find(({ className }) => className === /** @type {Element} */ (event.target).className);
    (alike ?? controls.at(-1))?.focus(); // the last one shows the data
  }

  /** Lets the key Tab lead to the line of one entry. From there, the arrow keys lead to the others. */
  #keepStop() {
    const { stop } = this.#entries;
    if (this.#entries.isShown(stop) && this.#entries.controls(stop).length > 0) return;
    let index = this.#entries.next(this.#events.length, -1);
    while (index !== -1 && this.#entries.controls(index).length === 0) index = this.#entries.next(index, -1);
    this.#entries.stop = index;
  }

  #scrolled() {
    if (this.#lost) return; // the browser scrolled, because the timeline became shorter
    const { scrollTop } = this.#scroller;
    // Only scrolling up leaves the end: entries that grow below it do not.
    if (this.#isAtEnd()) this.#returnToEnd();
    else if (scrollTop < this.#lastTop) this.#leaveEnd();
    this.#lastTop = scrollTop;
    this.#offerNewer();
  }

  #isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight <= AT_END_PX;
  }

  #leaveEnd() {
    this.#follow(false);
  }

  #returnToEnd() {
    this.#seen = this.#events.length;
    if (this.#following) return;
    this.#follow(true);
    this.#update(); // runs that were divided where the reader left the end become one
  }

  /** @param {boolean} follows */
  #follow(follows) {
    this.#following = follows;
    this.#scroller.classList.toggle("following", follows);
  }

  #resized() {
    this.#keepEnd();
    // A timeline that fits has nothing below the reader.
    if (!this.#lost && this.#scroller.scrollHeight <= this.#scroller.clientHeight) this.#seen = this.#events.length;
    this.#offerNewer();
  }

  #keepEnd() {
    if (this.#following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  #offerNewer() {
    let count = 0;
    for (let index = this.#seen; index < this.#events.length; index += 1) if (this.#outline.line(index)) count += 1;
    this.#newer.hidden = count === 0;
    if (count > 0) setText(find("span:last-child", this.#newer), say("timeline.new", { count }));
  }
}

/**
 * Whether an element is a button or link in the line of an entry, and not in a text below it that scrolls.
 * @param {EventTarget | null} target
 */
function isControl(target) {
  return target instanceof HTMLElement && target.matches(".entry :is(a, button)") && !target.closest(".block");
}

/**
 * The index of the event that an element belongs to.
 * @param {EventTarget | null} target
 */
function indexOf(target) {
  const entry = /** @type {HTMLElement | null} */ (/** @type {Element} */ (target).closest(".entry"));
  return Number(entry?.dataset.eventIndex ?? -1);
}

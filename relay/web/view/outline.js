// @ts-check
// The outline of a timeline: the days that its events divide into, the runs of one type that fold, and the silences
// between events. Pure.

import { faultOf, questionsOf } from "./payload.js";
import { readable, stageOfEvent } from "./stages.js";
import { parseTime } from "./time.js";

/** @typedef {import("../client/messages.js").Event} Event */
/** @typedef {string | null} Kind the type of an event as words; "" without a type, null for a hole in the array */
/**
 * Consecutive events of one kind on one day. Of a run that is folded, only the last event is shown.
 * `silence`: the longest time in ms before one of its events, if that is more than a minute; otherwise 0.
 * @typedef {{first: number, last: number, silence: number}} Run
 */
/**
 * The place of an event in the outline.
 * `at`: its time in ms, if it has one. `day`: the beginning of its day in ms, if it is the first event of that day.
 * `silence`: the ms since the event before it, if that is more than a minute; otherwise 0.
 * @typedef {{kind: Kind, at: number | undefined, day: number | undefined, silence: number, run: Run}} Line
 */
/**
 * What the next line depends on: the line before it and whether it may fold, the latest known time, and the day of that
 * time.
 * @typedef {{line: Line, folds: boolean, clock: number | undefined, from: number, until: number}} Context
 */

const SILENCE_MS = 60_000;
// Words of types that are never folded away, beside those of the lifecycle.
const NOTABLE = /\b(errors?|fail(ed|ures?|s)?|exceptions?|crash(ed)?|questions?|clarifications?)\b/i;

export class Outline {
  /** @type {(Event | null)[]} */
  #events = [];
  /** @type {Kind[]} */
  #kinds = [];
  /** @type {(Context | null)[]} null for an event that the filter hides */
  #contexts = [];
  /** @type {Kind | undefined} */
  #only;
  #cut = Infinity;
  /** @type {Set<number>} The runs that are unfolded, each by an event in it. */
  #unfolded = new Set();
  /** @type {Set<number>} */
  #held = new Set();
  /**
   * How many events there are of each kind, in the order in which the kinds appear.
   * @type {Map<Kind, number>}
   */
  counts = new Map();

  /**
   * Follows a change of the timeline. What is known of an event depends on itself and on the events before it, so new
   * events at the end change no line above them: the last run grows, and with `cut` not even that.
   * @param {readonly (Event | null)[]} events
   * @param {{only?: Kind, cut?: number}} [how] `only`: hides events of other kinds, and folds nothing; undefined for
   *   all kinds. `cut`: the event of this index, if there is one, begins a run of its own
   * @returns {number} the index of the first event whose line changed
   */
  update(events, { only, cut = Infinity } = {}) {
    const from = Math.min(
      this.#commonWith(events),
      only === this.#only ? Infinity : 0,
      cut === this.#cut ? Infinity : Math.min(cut, this.#cut),
    );
    this.#only = only;
    this.#cut = cut;
    this.#shorten(from);
    for (let index = from; index < events.length; index += 1) this.#add(events[index]);
    return from;
  }

  /** Forgets everything, also what was unfolded. */
  clear() {
    this.update([]);
    this.#unfolded.clear();
    this.#held.clear();
  }

  /**
   * The line of an event; undefined if the filter hides it.
   * @param {number} index
   * @returns {Line | undefined}
   */
  line(index) {
    return this.#contexts[index]?.line;
  }

  /**
   * Whether an event is out of sight in a folded run.
   * @param {number} index
   */
  isFolded(index) {
    const run = this.line(index)?.run;
    return run !== undefined && index !== run.last && !this.#held.has(index) && !this.isUnfolded(run);
  }

  /** @param {Run} run */
  isUnfolded({ first, last }) {
    for (const index of this.#unfolded) if (first <= index && index <= last) return true;
    return false;
  }

  /**
   * Unfolds a run, or folds it.
   * @param {Run} run
   * @param {boolean} unfolds
   */
  unfold({ first, last }, unfolds) {
    for (const index of this.#unfolded) if (first <= index && index <= last) this.#unfolded.delete(index);
    if (unfolds) this.#unfolded.add(first);
  }

  /**
   * Keeps an event in sight although its run is folded, as one whose data is open; or lets it fold again.
   * @param {number} index
   * @param {boolean} holds
   */
  hold(index, holds) {
    if (holds) this.#held.add(index);
    else this.#held.delete(index);
  }

  /** @param {number} index */
  isHeld(index) {
    return this.#held.has(index);
  }

  /** @param {readonly (Event | null)[]} events */
  #commonWith(events) {
    const length = Math.min(events.length, this.#events.length);
    let index = 0;
    while (index < length && events[index] === this.#events[index]) index += 1;
    return index;
  }

  /** @param {number} length */
  #shorten(length) {
    if (length >= this.#events.length) return;
    for (const kind of this.#kinds.splice(length)) {
      const count = (this.counts.get(kind) ?? 0) - 1;
      if (count > 0) this.counts.set(kind, count);
      else this.counts.delete(kind);
    }
    this.#events.length = length;
    this.#contexts.length = length;
    const run = this.#lastShown()?.line.run;
    if (!run || run.last < length) return;
    run.last = length - 1;
    run.silence = 0;
    for (let index = run.first; index < length; index += 1) this.#lengthenSilence(run, index);
  }

  /** @param {Event | null} event */
  #add(event) {
    const index = this.#events.length;
    const kind = kindOf(event);
    this.#events.push(event);
    this.#kinds.push(kind);
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    if (this.#only !== undefined && kind !== this.#only) return this.#contexts.push(null);
    const before = this.#lastShown();
    const folds = this.#only === undefined && !isNotable(event, kind);
    const context = contextOf(kind, event, folds, before);
    const { line } = context;
    if (before?.folds && folds && before.line.kind === kind && line.day === undefined && index !== this.#cut) {
      line.run = before.line.run;
    }
    line.run.first = Math.min(line.run.first, index);
    line.run.last = index;
    this.#contexts.push(context);
    this.#lengthenSilence(line.run, index);
  }

  /**
   * @param {Run} run
   * @param {number} index
   */
  #lengthenSilence(run, index) {
    run.silence = Math.max(run.silence, this.line(index)?.silence ?? 0);
  }

  #lastShown() {
    for (let index = this.#contexts.length - 1; index >= 0; index -= 1) {
      const context = this.#contexts[index];
      if (context) return context;
    }
    return undefined;
  }
}

/**
 * The type of an event as words. Events of one kind fold, and are filtered together.
 * @param {Event | null} event
 * @returns {Kind}
 */
export function kindOf(event) {
  return event && readable(event.type ?? "");
}

/**
 * Whether an event is never folded away: a stage of the lifecycle, a question, or an error.
 * @param {Event | null} event
 * @param {Kind} [kind]
 */
export function isNotable(event, kind = kindOf(event)) {
  if (!event || kind === null) return false;
  if (stageOfEvent(event.type) !== undefined || NOTABLE.test(kind)) return true;
  return faultOf(event.data) !== "" || questionsOf(event.data).length > 0;
}

/**
 * @param {Kind} kind
 * @param {Event | null} event
 * @param {boolean} folds
 * @param {Context | undefined} before
 * @returns {Context}
 */
function contextOf(kind, event, folds, before) {
  const at = parseTime(event?.at);
  /** @type {Line} */
  const line = { kind, at, day: undefined, silence: 0, run: { first: Infinity, last: -1, silence: 0 } };
  if (at === undefined) return { clock: undefined, from: NaN, until: NaN, ...before, line, folds };
  const passed = at - (before?.clock ?? at);
  if (passed > SILENCE_MS) line.silence = passed;
  if (before && at >= before.from && at < before.until) return { ...before, clock: at, line, folds };
  // Not by `new Date(year, …)`, which takes the year 1, the unset date of some writers, for 1901.
  const from = new Date(at).setHours(0, 0, 0, 0);
  const until = new Date(at).setHours(24, 0, 0, 0);
  line.day = from;
  return { line, folds, clock: at, from, until };
}

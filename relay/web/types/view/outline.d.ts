/**
 * The type of an event as words. Events of one kind fold, and are filtered together.
 * @param {Event | null} event
 * @returns {Kind}
 */
export function kindOf(event: Event | null): Kind;
/**
 * Whether an event is never folded away: a stage of the lifecycle, a question, or an error.
 * @param {Event | null} event
 * @param {Kind} [kind]
 */
export function isNotable(event: Event | null, kind?: Kind): boolean;
export class Outline {
    /**
     * How many events there are of each kind, in the order in which the kinds appear.
     * @type {Map<Kind, number>}
     */
    counts: Map<Kind, number>;
    /**
     * Follows a change of the timeline. What is known of an event depends on itself and on the events before it, so new
     * events at the end change no line above them: the last run grows, and with `cut` not even that.
     * @param {readonly (Event | null)[]} events
     * @param {{only?: Kind, cut?: number}} [how] `only`: hides events of other kinds, and folds nothing; undefined for
     *   all kinds. `cut`: the event of this index, if there is one, begins a run of its own
     * @returns {number} the index of the first event whose line changed
     */
    update(events: readonly (Event | null)[], { only, cut }?: {
        only?: Kind;
        cut?: number;
    }): number;
    /** Forgets everything, also what was unfolded. */
    clear(): void;
    /**
     * The line of an event; undefined if the filter hides it.
     * @param {number} index
     * @returns {Line | undefined}
     */
    line(index: number): Line | undefined;
    /**
     * Whether an event is out of sight in a folded run.
     * @param {number} index
     */
    isFolded(index: number): boolean;
    /** @param {Run} run */
    isUnfolded({ first, last }: Run): boolean;
    /**
     * Unfolds a run, or folds it.
     * @param {Run} run
     * @param {boolean} unfolds
     */
    unfold({ first, last }: Run, unfolds: boolean): void;
    /**
     * Keeps an event in sight although its run is folded, as one whose data is open; or lets it fold again.
     * @param {number} index
     * @param {boolean} holds
     */
    hold(index: number, holds: boolean): void;
    /** @param {number} index */
    isHeld(index: number): boolean;
    #private;
}
import type { Event } from "../client/messages.js";
export type { Event };
/**
 * the type of an event as words; "" without a type, null for a hole in the array
 */
export type Kind = string | null;
/**
 * Consecutive events of one kind on one day. Of a run that is folded, only the last event is shown.
 * `silence`: the longest time in ms before one of its events, if that is more than a minute; otherwise 0.
 */
export type Run = {
    first: number;
    last: number;
    silence: number;
};
/**
 * The place of an event in the outline.
 * `at`: its time in ms, if it has one. `day`: the beginning of its day in ms, if it is the first event of that day.
 * `silence`: the ms since the event before it, if that is more than a minute; otherwise 0.
 */
export type Line = {
    kind: Kind;
    at: number | undefined;
    day: number | undefined;
    silence: number;
    run: Run;
};
/**
 * What the next line depends on: the line before it and whether it may fold, the latest known time, and the day of that
 * time.
 */
export type Context = {
    line: Line;
    folds: boolean;
    clock: number | undefined;
    from: number;
    until: number;
};

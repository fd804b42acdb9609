// @ts-check
// When the reader last looked at the page, and since when they have been away: remembered, and shared between tabs.
//
// A page counts as looked at once it was visible for some seconds. A reader who was away for some minutes, because the
// page was hidden or closed or the machine slept, is told what happened since the last look, until they have seen that.

import { isPast, memory } from "./memory.js";

const NAME = "look";
const LOOKED_MS = 5_000; // visible for this long
const AWAY_MS = 5 * 60_000;
const SAVE_MS = 10_000;

export class LastLook {
  /**
   * The last look before the reader was away, or the first look ever, in ms since the epoch; null before the first.
   * @type {number | null}
   */
  since = null;
  /**
   * When the reader came back; null once they have seen what happened since.
   * @type {number | null}
   */
  backAt = null;

  /** @type {number | null} */
  #last = null;
  #visibleAt = document.hidden ? Infinity : Date.now();
  #savedAt = 0;
  #tickedAt = Date.now();
  #hasBegun = false;
  #changed;

  /** @param {() => void} changed called when the reader comes back, or has seen what happened in another tab */
  constructor(changed) {
    this.#changed = changed;
    memory.onChange(NAME, () => {
      if (!this.#hasBegun) return;
      this.#read();
      changed();
    });
    document.addEventListener("visibilitychange", () => this.#visibilityChanged());
    addEventListener("pagehide", () => this.#look(true));
  }

  /** Reads what is remembered of the user who is signed in now, if that has not been read yet. */
  begin() {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#read();
    this.since ??= Date.now();
    this.#returned();
  }

  /** Called every second while the page is visible. */
  tick() {
    const now = Date.now();
    const hasSlept = now - this.#tickedAt >= AWAY_MS;
    this.#tickedAt = now;
    if (hasSlept) this.#visibilityChanged(); // a machine that sleeps does not hide the page before
    this.#look(false);
  }

  /** The reader has seen what happened since. */
  seen() {
    if (this.backAt === null) return;
    this.backAt = null;
    this.#last = Date.now();
    this.#save();
    this.#changed();
  }

  /** Saves the last look of this user, and is as at the start afterwards, for the next user. */
  clear() {
    this.#look(true);
    this.since = this.backAt = this.#last = null;
    this.#hasBegun = false;
  }

  #visibilityChanged() {
    if (document.hidden) {
      this.#look(true);
      this.#visibleAt = Infinity;
      return;
    }
    this.#visibleAt = this.#tickedAt = Date.now();
    if (this.since === null) return;
    this.#returned();
    this.#changed();
  }

  /** Finds out whether the reader was away until now. */
  #returned() {
    const now = Date.now();
    if (document.hidden || this.#last === null || now - this.#last < AWAY_MS) return;
    this.since = this.#last;
    this.backAt = now;
  }

  /** @param {boolean} atOnce whether to remember it now, and not only every few seconds */
  #look(atOnce) {
    const now = Date.now();
    if (this.since === null || now - this.#visibleAt < LOOKED_MS) return;
    this.#last = now;
    if (atOnce || now - this.#savedAt > SAVE_MS) this.#save();
  }

  #save() {
    this.#savedAt = Date.now();
    memory.set(NAME, { last: this.#last, since: this.since, backAt: this.backAt });
  }

  #read() {
    const stored = memory.get(NAME);
    if (!isPast(stored?.since)) return;
    this.since = stored.since;
    this.backAt = isPast(stored.backAt) ? stored.backAt : null;
    this.#last = isPast(stored.last) ? stored.last : null;
  }
}

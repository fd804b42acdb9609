// @ts-check
// What this browser remembers for a user: one JSON value for each name, in localStorage under
// `relay.v1.<sub>.<name>`, where all tabs of the user find it; under a path, as `/live/`, it is
// `relay.v1 /live/ <sub>.<name>`. Nothing of it is ever sent.
//
//   const sort = memory.get("orders") ?? {};
//   memory.set("orders", { failed: "newest" });
//   memory.onChange("orders", show);
//
// What a value holds is its owner's choice: read it as untrusted, because an earlier version of the page, or the
// reader, may have written it. Keep no text of a task in it: what is here outlives the right to see the task.
//
// It also outlives the sign-in, because a sign-out cannot be told from a session that ended overnight. It is removed
// when somebody else signs in to the application in this browser.

import { pagePath } from "./page-path.js";

const CHARACTERS_MAX = 200_000; // of one value: browsers allow about 5 million for everything of an origin
const CLOCK_MS = 60_000; // a clock that was corrected by so little was not wrong

export class Memory {
  #beginning;
  /** @type {string | null} The beginning of this user's keys; null until the user is known. */
  #prefix = null;
  /** @type {Map<string, Set<() => void>>} By name. */
  #listeners = new Map();

  /** @param {string} [path] the one under which the page is served */
  constructor(path = pagePath) {
    this.#beginning = path === "/" ? "relay.v1." : `relay.v1 ${path} `;
    addEventListener("storage", ({ key }) => this.#changedElsewhere(key));
  }

  /**
   * Turns to the values of a user, and calls every listener if it is another user than before.
   * @param {string} sub the user; "" for nobody
   * @param {{removesOthers?: boolean}} [how] whether to remove what there is of all other users, because this one is
   *   signed in to the application now
   */
  open(sub, { removesOthers = false } = {}) {
    const prefix = sub === "" ? null : `${this.#beginning}${sub}.`;
    if (prefix === this.#prefix) return;
    this.#prefix = prefix;
    if (removesOthers) this.#removeOthers();
    this.#callAll();
  }

  /**
   * The value under a name. Undefined if there is none, if it cannot be read, or before the user is known.
   * @param {string} name
   * @returns {any} untrusted
   */
  get(name) {
    if (this.#prefix === null) return undefined;
    try {
      return JSON.parse(localStorage.getItem(this.#prefix + name) ?? "null") ?? undefined;
    } catch {
      return undefined; // no JSON, or the browser refuses the storage
    }
  }

  /**
   * Keeps a value. It is dropped silently if it is too long, before the user is known, or where the browser refuses
   * the storage: then the page works, and forgets with the next reload.
   * @param {string} name without a dot
   * @param {unknown} value undefined removes it
   * @returns {boolean} whether it is kept
   */
  set(name, value) {
    if (this.#prefix === null) return false;
    const text = JSON.stringify(value);
    try {
      if (text === undefined) localStorage.removeItem(this.#prefix + name);
      else if (text.length <= CHARACTERS_MAX) localStorage.setItem(this.#prefix + name, text);
      else return false;
      return true;
    } catch {
      return false; // full or refused
    }
  }

  /**
   * Calls back when the value under a name may be another one: another tab has set it, or the user changed. A call of
   * `set` here does not call back.
   * @param {string} name
   * @param {() => void} listener
   */
  onChange(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
  }

  #removeOthers() {
    const own = this.#prefix;
    if (own === null) return;
    // The name of a user may contain dots, so `relay.v1.ann.` also begins keys of a user "ann.smith".
    const isOwn = (/** @type {string} */ key) => key.startsWith(own) && !key.includes(".", own.length);
    try {
      const others = Object.keys(localStorage).filter((key) => key.startsWith(this.#beginning) && !isOwn(key));
      for (const key of others) localStorage.removeItem(key);
    } catch {
      // Refused: so there is nothing to remove.
    }
  }

  /** @param {string | null} key null if all keys were removed */
  #changedElsewhere(key) {
    if (key === null) return this.#callAll();
    if (this.#prefix === null || !key.startsWith(this.#prefix)) return;
    for (const listener of this.#listeners.get(key.slice(this.#prefix.length)) ?? []) listener();
  }

  #callAll() {
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener();
  }
}

/**
 * As many entries as one value may hold, so that it is not dropped as a whole.
 * @template Entry
 * @param {Entry[]} entries the most important first
 * @param {number} countMax
 * @returns {Entry[]} the first of them
 */
export function fitting(entries, countMax) {
  let left = CHARACTERS_MAX - 100; // what else the value may hold
  const fits = (/** @type {Entry} */ entry) => (left -= JSON.stringify(entry).length + 1) >= 0;
  const first = entries.slice(0, countMax);
  const end = first.findIndex((entry) => !fits(entry));
  return end < 0 ? first : first.slice(0, end);
}

/**
 * Whether a remembered value is a time that has been, in ms since the epoch. One in the future is of a clock that was
 * wrong then: it would hide for long what is new.
 * @param {unknown} value untrusted
 * @returns {value is number}
 */
export function isPast(value) {
  return typeof value === "number" && value >= 0 && value <= Date.now() + CLOCK_MS;
}

/** The memory of this page. */
export const memory = new Memory();

// @ts-check
// A set of listeners. Adding one returns the function that removes it.

/** @typedef {() => void} Unsubscribe */

/** @template T */
export class Listeners {
  /** @type {Set<(value: T) => void>} */
  #all = new Set();

  /**
   * Throws a TypeError for what is no function: called with a message, it would fail far from the mistake.
   * @param {(value: T) => void} listener
   * @returns {Unsubscribe}
   */
  add(listener) {
    mustBeCallable(listener);
    const entry = (/** @type {T} */ value) => listener(value); // a new function, because one may be added twice
    this.#all.add(entry);
    return () => void this.#all.delete(entry);
  }

  /**
   * Calls every listener.
   * @param {T} value
   */
  emit(value) {
    for (const listener of [...this.#all]) {
      try {
        listener(value);
      } catch (error) {
        // Report the error outside of this loop: the other listeners are still called, and the client goes on.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** @param {unknown} listener */
export function mustBeCallable(listener) {
  if (typeof listener !== "function") throw new TypeError(`A listener is a function, and not ${typeof listener}.`);
}

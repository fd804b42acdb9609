// @ts-check
// A set of listeners whose members take themselves out.

/** @typedef {() => void} Unsubscribe */

/** @template T */
export class Listeners {
  /** @type {Set<(value: T) => void>} */
  #all = new Set();

  /**
   * @param {(value: T) => void} listener
   * @returns {Unsubscribe}
   */
  add(listener) {
    const entry = (/** @type {T} */ value) => listener(value); // the same function may listen twice
    this.#all.add(entry);
    return () => void this.#all.delete(entry);
  }

  /** @param {T} value */
  tell(value) {
    for (const listener of [...this.#all]) {
      try {
        listener(value);
      } catch (error) {
        // A listener's failure is its own: the others still hear, and the stream goes on.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

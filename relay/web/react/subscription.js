// @ts-check
// A task, or the list, that any number of components watch. It is joined for the first, and left after the last.

/** @typedef {import("../client/index.js").Host} Host */
/** @typedef {import("../client/index.js").Relay} Relay */
/** @typedef {import("../client/index.js").Unsubscribe} Unsubscribe */

/**
 * A list or timeline of the client. It changes in place, so components get snapshots of it instead.
 * @typedef {{onChange: (listener: () => void) => Unsubscribe}} View
 */

/**
 * How a view is joined, read and left. `read` returns the snapshot from before if nothing changed.
 * @template {View} V
 * @template S
 * @typedef {object} Source
 * @property {S} loading
 * @property {(relay: Relay) => V} join
 * @property {(view: V, before: S) => S} read
 * @property {(relay: Relay) => void} leave
 */

// Leave late: StrictMode mounts every component twice, and the next page may watch the same task.
export const LINGER_MS = 1_000;

/**
 * @template {View} V
 * @template S
 */
export class Subscription {
  /** What components read. It changes only when they are notified. */
  snapshot;

  #source;
  #host;
  #onChange;
  #onEnd;
  /** @type {Set<() => void>} */
  #watchers = new Set();
  /** @type {V | null} */
  #view = null;
  /** @type {() => void} */
  #leave = () => {};
  /** @type {any} */
  #lingering;

  /**
   * @param {object} options
   * @param {Source<V, S>} options.source
   * @param {Host} options.host
   * @param {() => void} options.onChange requests a call of `update()`, now or later
   * @param {() => void} options.onEnd called when the last watcher is gone and the view was left
   */
  constructor({ source, host, onChange, onEnd }) {
    this.snapshot = source.loading;
    this.#source = source;
    this.#host = host;
    this.#onChange = onChange;
    this.#onEnd = onEnd;
  }

  /** @param {Relay} relay */
  join(relay) {
    const view = this.#source.join(relay);
    const unlisten = view.onChange(this.#onChange);
    this.#view = view;
    this.#leave = () => {
      unlisten();
      this.#source.leave(relay);
    };
    this.#onChange();
  }

  /** Leaves the view and shows nothing, without a notification. */
  forget() {
    this.leave();
    this.#host.clearTimeout(this.#lingering);
    this.snapshot = this.#source.loading;
  }

  leave() {
    this.#leave();
    this.#leave = () => {};
    this.#view = null;
    this.#onChange();
  }

  /**
   * @param {() => void} watcher
   * @returns {Unsubscribe}
   */
  watch(watcher) {
    this.#host.clearTimeout(this.#lingering);
    const entry = () => watcher(); // a new function, because one may be added twice
    this.#watchers.add(entry);
    return () => {
      if (this.#watchers.delete(entry) && this.#watchers.size === 0) this.#endLater();
    };
  }

  /** Reads the view, and notifies the watchers if it changed. */
  update() {
    const { loading, read } = this.#source;
    const snapshot = this.#view === null ? loading : read(this.#view, this.snapshot);
    if (snapshot === this.snapshot) return;
    this.snapshot = snapshot;
    for (const watcher of [...this.#watchers]) watcher();
  }

  #endLater() {
    this.#lingering = this.#host.setTimeout(() => {
      this.leave();
      this.#onEnd();
    }, LINGER_MS);
  }
}

// @ts-check
// A task or the list as any number of components watch it: joined for the first, left a while after the last.

/** @typedef {import("../client/index.js").Host} Host */
/** @typedef {import("../client/index.js").Relay} Relay */
/** @typedef {import("../client/index.js").Unsubscribe} Unsubscribe */

/**
 * What tells of its changes; components never see it, for it changes in place.
 * @typedef {{onChange: (listener: () => void) => Unsubscribe}} View
 */

/**
 * How something is joined, read and left. `read` gives what it gave before where nothing changed.
 * @template {View} V
 * @template S
 * @typedef {object} Source
 * @property {S} loading
 * @property {(relay: Relay) => V} join
 * @property {(view: V, before: S) => S} read
 * @property {(relay: Relay) => void} leave
 */

// Who leaves may be back at once: StrictMode mounts twice, and one page follows another.
export const LINGER_MS = 1_000;

/**
 * @template {View} V
 * @template S
 */
export class Subscription {
  /** What components show: the same until they are told. */
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
   * @param {() => void} options.onChange asks for an `update()`, now or later
   * @param {() => void} options.onEnd nobody watches any more, and it has been left
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
    const entry = () => watcher(); // the same function may watch twice
    this.#watchers.add(entry);
    return () => {
      if (this.#watchers.delete(entry) && this.#watchers.size === 0) this.#endLater();
    };
  }

  /** Reads what there is now, and tells if it differs. */
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

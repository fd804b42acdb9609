// @ts-check
// What the application has left, until the relay has confirmed it.

/**
 * `request`: the id of the leave that was sent. `notBefore`: when it may be sent, in ms since the epoch.
 * @typedef {{request?: string, notBefore: number}} Leave
 */

/** The key of a leave is a task id, or null for the list of tasks. */
export class Leaves {
  /** @type {Map<string | null, Leave>} */
  #all = new Map();

  /** @param {string | null} key */
  add(key) {
    this.#all.set(key, { notBefore: 0 });
  }

  /** A new connection has joined nothing, so there is nothing to leave. */
  clear() {
    this.#all.clear();
  }

  /**
   * Joined again: a leave that was not sent is dropped.
   * @param {string | null} key
   */
  cancel(key) {
    if (this.#all.get(key)?.request === undefined) this.#all.delete(key);
  }

  /**
   * @param {string | null} key
   * @param {string | undefined} request the id of the leave; undefined while there is no connection
   */
  sent(key, request) {
    const leave = this.#all.get(key);
    if (request === undefined) this.#all.delete(key);
    else if (leave !== undefined) leave.request = request;
  }

  /**
   * The relay confirmed a leave.
   * @param {string | null} key
   * @param {string | undefined} replyTo
   */
  confirmed(key, replyTo) {
    if (replyTo !== undefined && this.#all.get(key)?.request === replyTo) this.#all.delete(key);
  }

  /**
   * The relay answered a leave with an error. After a temporary one it is sent again.
   * @param {string} request
   * @param {number | null} retryAt in ms since the epoch; null where the error is final
   */
  failed(request, retryAt) {
    for (const [key, leave] of this.#all) {
      if (leave.request !== request) continue;
      if (retryAt === null) this.#all.delete(key);
      else this.#all.set(key, { notBefore: retryAt });
    }
  }

  /**
   * The keys of those to send now.
   * @param {number} now in ms since the epoch
   */
  *due(now) {
    for (const [key, { request, notBefore }] of this.#all) if (request === undefined && notBefore <= now) yield key;
  }

  /** When each of them may be sent, in ms since the epoch. */
  times() {
    return [...this.#all.values()].map(({ notBefore }) => notBefore);
  }
}

// @ts-check
// Repeats a question every two seconds while the page is visible, and more slowly while it fails.

const EVERY_MS = 2_000;
const EVERY_MAX_MS = 30_000; // while there is no answer

export class Refresher {
  #ask;
  #failed;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #failures = 0;
  #running = false;
  #round = new AbortController(); // aborts the question under way

  /**
   * @param {(signal: AbortSignal) => Promise<void>} ask
   * @param {(error: unknown, nextTryAt: number) => void} failed `nextTryAt` in ms since the epoch
   */
  constructor(ask, failed) {
    this.#ask = ask;
    this.#failed = failed;
    document.addEventListener("visibilitychange", () => this.#running && this.now());
    addEventListener("online", () => this.#running && this.now());
  }

  start() {
    this.#running = true;
    this.#failures = 0;
    this.now();
  }

  stop() {
    this.#running = false;
    this.#cancel();
  }

  /** Asks at once, in place of a question under way: what is asked for may have changed. */
  async now() {
    this.#cancel();
    if (!this.#running || document.hidden) return;
    const { signal } = (this.#round = new AbortController());
    try {
      await this.#ask(signal);
      if (signal.aborted) return;
      this.#failures = 0;
      this.#later(EVERY_MS);
    } catch (error) {
      if (signal.aborted) return;
      this.#failures += 1;
      const waitMs = Math.min(EVERY_MAX_MS, EVERY_MS * 2 ** Math.min(this.#failures, 5));
      this.#later(waitMs);
      this.#failed(error, Date.now() + waitMs);
    }
  }

  /** @param {number} ms */
  #later(ms) {
    this.#timer = setTimeout(() => this.now(), ms);
  }

  #cancel() {
    clearTimeout(this.#timer);
    this.#round.abort();
  }
}

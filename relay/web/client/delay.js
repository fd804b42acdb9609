// @ts-check
// Measures how long a change takes from the database to this page, without the difference of the two clocks.

/** @typedef {import("./messages.js").ServerMessage} ServerMessage */

const SAMPLES = 31;

export class Delay {
  #send;
  /** @type {{request: string | undefined, at: number} | null} */
  #asked = null;
  /** @type {{offsetMs: number, tripMs: number} | null} `offsetMs`: the relay's clock minus ours */
  #clock = null;
  /** @type {number[]} the newest delays, in ms */
  #samples = [];

  /** @param {(type: string, data: object) => string | undefined} send returns the id of the request */
  constructor(send) {
    this.#send = send;
  }

  /** The median of the last delays, in ms; undefined until one was measured. */
  get medianMs() {
    if (this.#samples.length === 0) return undefined;
    return [...this.#samples].sort((a, b) => a - b)[this.#samples.length >> 1];
  }

  /** The last delays, in ms, the newest last. */
  get lastMs() {
    return [...this.#samples];
  }

  /**
   * @param {ServerMessage} message
   * @param {number} [now] ms since the epoch
   */
  take({ type, data, at, replyTo }, now = Date.now()) {
    if (type === "welcome") this.#clock = null; // the clock of a machine that slept may have changed
    if (type === "welcome" || type === "heartbeat") this.#asked = { request: this.#send("ping", {}), at: now };
    if (type === "pong" && replyTo !== undefined && replyTo === this.#asked?.request) {
      this.#compare(Date.parse(data.serverTime), this.#asked.at, now);
    }
    if (at === undefined || this.#clock === null) return;
    this.#samples.push(Math.max(0, now + this.#clock.offsetMs - Date.parse(at)));
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  /**
   * Compares the clocks. The shortest round trip is kept, because the relay's time lies somewhere within it.
   * @param {number} serverTime
   * @param {number} sent
   * @param {number} received
   */
  #compare(serverTime, sent, received) {
    const tripMs = received - sent;
    if (this.#clock && tripMs > this.#clock.tripMs) return;
    this.#clock = { tripMs, offsetMs: serverTime - (sent + received) / 2 };
  }
}

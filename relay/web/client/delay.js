// @ts-check
// How long a change takes from the database to here, without the difference of the two clocks.

/** @typedef {import("./messages.js").ServerMessage} ServerMessage */

const SAMPLES = 31;

export class Delay {
  #send;
  /** @type {{request: string | undefined, at: number} | null} */
  #asked = null;
  /** @type {{offsetMs: number, tripMs: number} | null} what to add to our clock for the relay's */
  #clock = null;
  /** @type {number[]} the newest delays, in ms */
  #samples = [];

  /** @param {(type: string, data: object) => string | undefined} send gives the id of the request */
  constructor(send) {
    this.#send = send;
  }

  /** The median of the last few, in ms; undefined until something was measured. */
  get medianMs() {
    if (this.#samples.length === 0) return undefined;
    return [...this.#samples].sort((a, b) => a - b)[this.#samples.length >> 1];
  }

  /**
   * @param {ServerMessage} message
   * @param {number} [now] ms since the epoch
   */
  take({ type, data, at, replyTo }, now = Date.now()) {
    if (type === "welcome") this.#clock = null; // a machine that slept may have another time
    if (type === "welcome" || type === "heartbeat") this.#asked = { request: this.#send("ping", {}), at: now };
    if (type === "pong" && replyTo !== undefined && replyTo === this.#asked?.request) {
      this.#compare(Date.parse(data.serverTime), this.#asked.at, now);
    }
    if (at === undefined || this.#clock === null) return;
    this.#samples.push(Math.max(0, now + this.#clock.offsetMs - Date.parse(at)));
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  /**
   * The shortest trip tells the most: the relay's time was somewhere within it.
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

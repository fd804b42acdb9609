// @ts-check
// Statistics of a connection: its user, the age of the last message, the delay of changes.

import { Delay } from "./delay.js";

/** @typedef {import("./messages.js").ServerMessage} ServerMessage */

export class ConnectionStats {
  /** When the last message arrived, in ms since the epoch; 0 before the first. */
  heardAt = 0;
  /** How often the client connected again; -1 before the first connection. */
  reconnects = -1;
  /** The user of the token; "" before the first connection. */
  sub = "";
  /** When the token expires, in ms since the epoch. 0 until the relay warns of it. */
  endsAt = 0;
  #delay;
  #now;

  /**
   * @param {(type: string, data: object) => string | undefined} ask
   *   sends a request for the relay's time, and returns its id
   * @param {() => number} [now] in ms since the epoch
   */
  constructor(ask, now = Date.now) {
    this.#delay = new Delay(ask);
    this.#now = now;
  }

  /**
   * The time from a change in the database to its message here, in ms: the median of the last few, without the
   * difference of the clocks. Undefined until it was measured, which `measureDelay` switches on.
   */
  get delayMs() {
    return this.#delay.medianMs;
  }

  /** The last 31 delays that were measured, in ms, the newest last. */
  get delaysMs() {
    return this.#delay.lastMs;
  }

  /**
   * A connection opened. An answer to a poll names no user, so its token does.
   * @param {string | undefined} sub undefined where the token cannot be read
   */
  opened(sub) {
    this.sub = sub ?? this.sub;
  }

  /** @param {ServerMessage} message */
  take(message) {
    this.heardAt = this.#now();
    switch (message.type) {
      case "welcome":
        this.reconnects += 1;
        this.sub = message.data.sub;
        this.endsAt = 0;
        break;
      case "auth:expiring":
        this.endsAt = Date.parse(message.data.expiresAt);
        break;
      case "auth:ok":
        this.endsAt = 0;
        break;
    }
    this.#delay.take(message, this.heardAt);
  }
}

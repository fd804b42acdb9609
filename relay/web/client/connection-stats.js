// @ts-check
// How a conversation goes: who speaks, how old the last word is, how long changes take.

import { Delay } from "./delay.js";

/** @typedef {import("./messages.js").ServerMessage} ServerMessage */

export class ConnectionStats {
  /** When the last message came, in ms since the epoch; 0 before the first. */
  heardAt = 0;
  /** How often the conversation was begun anew. */
  reconnects = -1;
  /** Whom the token names, "" before the first welcome. */
  sub = "";
  /** When the token ends, in ms since the epoch, once the relay warned of it; otherwise 0. */
  endsAt = 0;
  #delay;
  #now;

  /**
   * @param {(type: string, data: object) => string | undefined} ask
   *   for the relay's time; gives the id of the request
   * @param {() => number} [now] in ms since the epoch
   */
  constructor(ask, now = Date.now) {
    this.#delay = new Delay(ask);
    this.#now = now;
  }

  /**
   * From the database's time of a change to here, in ms: the median of the last few, the clocks'
   * difference removed. Undefined until something was measured (`measureDelay`).
   */
  get delayMs() {
    return this.#delay.medianMs;
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

// @ts-check
// What the deployment says to everybody who is signed in (GET /config): where the page leads from a task.

/** @import { ConfigAnswer, LinkTemplates } from "../client/index.js" */

const FRESH_MS = 60_000;

export class Deployment {
  /** @type {LinkTemplates} */
  links = {};
  #askedAt = -Infinity;
  #onChange;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /**
   * Asks the relay, unless it was asked within the last minute. Without an answer, what is known stays.
   * @param {string | null} token that of the connection; null while there is none
   */
  async refresh(token) {
    const now = performance.now();
    if (token === null || now - this.#askedAt < FRESH_MS) return;
    this.#askedAt = now;
    try {
      const answer = await fetch("config", { headers: { authorization: `Bearer ${token}` } });
      if (!answer.ok) return;
      const { links = {} } = /** @type {ConfigAnswer} */ (await answer.json());
      if (JSON.stringify(links) === JSON.stringify(this.links)) return;
      this.links = links;
      this.#onChange();
    } catch {
      // The network is gone; the connection says so already.
    }
  }
}

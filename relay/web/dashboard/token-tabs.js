// @ts-check
// Speaks with the other tabs of this page in this browser: of fresh tokens, and of who is signed in.
//
// Rules of this file:
// - Only pages of this origin and this path hear it: another relay of the origin has other tokens.
// - Where the browser refuses the channel, as in some frames, this tab is alone and everything else works.

import { pagePath } from "./page-path.js";

const FIRST_WITHIN_MS = 400; // without an answer by then, no other tab has a token
const MORE_WITHIN_MS = 80; // after the first answer, others come at once or not at all

/**
 * - `ask`: a new tab has no token;
 * - `to`: the answer to that question, with the time when its tab was used last, in ms since the epoch;
 * - `link`: a link has brought this token;
 * - `application`: what the application said last: a token, or null if nobody is signed in.
 * @typedef {{ask: string} | {to: string, token: string, usedAt: number} | {link: string}
 *   | {application: string | null}} Word
 */

export class TokenTabs {
  #name;
  #own;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** @type {Map<string, (answer: {token: string, usedAt: number}) => void>} By question. */
  #questions = new Map();
  #usedAt = 0;

  /**
   * @param {object} own what this tab says and hears
   * @param {() => string} own.token the token for a tab that asks; "" for none
   * @param {(token: string) => void} own.onLink
   * @param {(token: string | null) => void} own.onApplication
   */
  constructor(own) {
    this.#own = own;
    this.#name = `relay.tabs ${pagePath}`;
    this.#open();
    // A page with an open channel may not be kept for "back".
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", () => this.#open());
    for (const type of ["pointerdown", "keydown", "focus"]) {
      addEventListener(type, () => void (this.#usedAt = Date.now()), { capture: true, passive: true });
    }
  }

  /** @param {Word} word */
  tell(word) {
    this.#channel?.postMessage(word);
  }

  /**
   * Asks the other tabs for their tokens. That of the tab that was used last comes first: it opened this one.
   * @returns {Promise<string[]>}
   */
  async ask() {
    if (this.#channel === null) return [];
    const question = crypto.getRandomValues(new Uint32Array(4)).join("-");
    /** @type {{token: string, usedAt: number}[]} */
    const answers = [];
    await new Promise((/** @type {(value?: unknown) => void} */ done) => {
      setTimeout(done, FIRST_WITHIN_MS);
      this.#questions.set(question, (answer) => {
        answers.push(answer);
        setTimeout(done, MORE_WITHIN_MS);
      });
      this.tell({ ask: question });
    });
    this.#questions.delete(question);
    return answers.sort((a, b) => b.usedAt - a.usedAt).map(({ token }) => token);
  }

  #open() {
    if (this.#channel !== null) return;
    try {
      this.#channel = new BroadcastChannel(this.#name);
    } catch {
      return; // refused
    }
    this.#channel.addEventListener("message", ({ data }) => this.#hear(data));
  }

  #close() {
    this.#channel?.close();
    this.#channel = null;
  }

  /** @param {any} word */
  #hear(word) {
    const { token } = this.#own;
    if (typeof word?.ask === "string" && token() !== "") {
      this.tell({ to: word.ask, token: token(), usedAt: this.#usedAt });
    }
    if (typeof word?.to === "string") this.#questions.get(word.to)?.(word);
    if (typeof word?.link === "string") this.#own.onLink(word.link);
    if (typeof word?.application === "string" || word?.application === null) this.#own.onApplication(word.application);
  }
}

// @ts-check
// The token of a provider: a string, none, or a function, any of which may be replaced before it has answered.
//
// Rules of this file:
// - The answer of a replaced function is ignored, and the new function is called: it may be for another user.
// - A page may create a function at each render, so that every answer comes from a replaced one. Then an answer is used
//   if the answer before it names the same user.

import { isSameUser } from "../client/token.js";

/** @typedef {import("../client/tokens.js").GetToken} GetToken */
/** @typedef {import("../client/tokens.js").MaybeToken} MaybeToken */

/**
 * An open call of `ask()`. `heard`: the last answer of a function that had been replaced meanwhile.
 * @typedef {{settle: (given: any) => void, fail: (error: unknown) => void, heard: {given: any} | null}} Question
 */

// The pause between calls of functions that are replaced at each render. Without it, a page that renders because its
// function was called would be called in an endless loop.
export const RENEW_MS = 1_000;
const DOUBT_MAX_MS = 60_000;

export class TokenSource {
  /** @type {MaybeToken | GetToken} */
  #token = "";
  #host;
  #onDoubt;
  /** @type {Question | null} The last call, while it is open. */
  #question = null;
  #askedAt = -Infinity;
  #doubts = 0; // in a row
  /** @type {any} */
  #again;
  /** @type {any} */
  #doubt;

  /**
   * @param {import("../client/index.js").Host} host
   * @param {() => void} onDoubt called after the answer of a replaced function was used: ask the current one
   */
  constructor(host, onDoubt) {
    this.#host = host;
    this.#onDoubt = onDoubt;
  }

  /** The current token or function. */
  get token() {
    return this.#token;
  }

  /** @param {MaybeToken | GetToken} token used from now on, also for an open call */
  set token(token) {
    this.#token = token;
    if (this.#question === null) return;
    if (typeof token === "function") this.#putSoon(this.#question);
    else this.#put(this.#question);
  }

  /**
   * Gets a token, or none, from the current function.
   * @returns {Promise<any>}
   */
  ask() {
    return new Promise((settle, fail) => {
      this.#question = { settle, fail, heard: null };
      this.#put(this.#question);
    });
  }

  /** Ends the open call without an answer. */
  close() {
    this.#question = null;
    this.#host.clearTimeout(this.#again);
    this.#host.clearTimeout(this.#doubt);
  }

  /** @param {Question} question */
  #put(question) {
    this.#host.clearTimeout(this.#again);
    this.#askedAt = this.#host.now();
    const asked = this.#token;
    new Promise((done) => done(typeof asked === "function" ? asked() : asked)).then(
      (given) => this.#answered(question, asked, given),
      (error) => {
        if (asked === this.#token) this.#end(question, () => question.fail(error));
      },
    );
  }

  /** @param {Question} question */
  #putSoon(question) {
    this.#host.clearTimeout(this.#again);
    const waitMs = Math.max(0, this.#askedAt + RENEW_MS - this.#host.now());
    this.#again = this.#host.setTimeout(() => this.#put(question), waitMs);
  }

  /**
   * @param {Question} question
   * @param {MaybeToken | GetToken} asked
   * @param {any} given
   */
  #answered(question, asked, given) {
    if (asked === this.#token) {
      this.#doubts = 0;
      return this.#end(question, () => question.settle(given));
    }
    if (question !== this.#question) return; // its call was answered already
    const { heard } = question;
    question.heard = { given };
    if (heard === null) this.#put(question);
    else if (!agree(heard.given, given)) this.#putSoon(question);
    else {
      this.#end(question, () => question.settle(given));
      this.#askLater();
    }
  }

  /**
   * @param {Question} question
   * @param {() => void} say
   */
  #end(question, say) {
    if (question === this.#question) {
      this.#question = null;
      this.#host.clearTimeout(this.#again);
    }
    say();
  }

  /** Asks again later, because the current function may be for another user. While that goes on, the pauses grow. */
  #askLater() {
    const waitMs = Math.min(DOUBT_MAX_MS, RENEW_MS * 2 ** this.#doubts);
    this.#doubts += 1;
    this.#host.clearTimeout(this.#doubt);
    this.#doubt = this.#host.setTimeout(this.#onDoubt, waitMs);
  }
}

/**
 * @param {unknown} one
 * @param {unknown} other
 */
function agree(one, other) {
  const [first, second] = [one, other].map((given) => (typeof given === "string" && given !== "" ? given : null));
  return first === second || isSameUser(first, second);
}

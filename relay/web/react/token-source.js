// @ts-check
// The token of a provider: a text, none, or a function, and the next one may come before it has answered.
//
// Rules of this file: the answer of a function that was replaced does not count, and the new one is asked in
// its place; only where functions are replaced without end, as by a page that makes one at each render, two
// of them that name the same user one after the other are believed.

import { isSameUser } from "../client/token.js";

/** @typedef {import("../client/tokens.js").GetToken} GetToken */
/** @typedef {import("../client/tokens.js").MaybeToken} MaybeToken */

/**
 * `heard`: what the last function answered that had been replaced by then.
 * @typedef {{settle: (given: any) => void, fail: (error: unknown) => void, heard: {given: any} | null}} Question
 */

// Between two questions to functions that only are others at each render: who renders because it was asked
// would otherwise be asked without end.
export const RENEW_MS = 1_000;
const DOUBT_MAX_MS = 60_000;

export class TokenSource {
  /** @type {MaybeToken | GetToken} */
  #token = "";
  #host;
  #onDoubt;
  /** @type {Question | null} The last one, while it is open. */
  #question = null;
  #askedAt = -Infinity;
  #doubts = 0; // in a row
  /** @type {any} */
  #again;
  /** @type {any} */
  #doubt;

  /**
   * @param {import("../client/index.js").Host} host
   * @param {() => void} onDoubt a function was believed that had been replaced: the one of now is to be asked
   */
  constructor(host, onDoubt) {
    this.#host = host;
    this.#onDoubt = onDoubt;
  }

  /** The last one that was given. */
  get token() {
    return this.#token;
  }

  /** @param {MaybeToken | GetToken} token what counts from now on, for an open question too */
  set token(token) {
    this.#token = token;
    if (this.#question === null) return;
    if (typeof token === "function") this.#putSoon(this.#question);
    else this.#put(this.#question);
  }

  /**
   * A token, or none, as the function of now gives it.
   * @returns {Promise<any>}
   */
  ask() {
    return new Promise((settle, fail) => {
      this.#question = { settle, fail, heard: null };
      this.#put(this.#question);
    });
  }

  /** What is open is not asked again. */
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
    if (question !== this.#question) return; // nobody waits for it any more
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

  /** The last replacement may have brought another user. Where replacing goes on, it is asked less and less often. */
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

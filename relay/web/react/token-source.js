// @ts-check
// The token of a provider: a string, none, or a function, any of which may be replaced before it has answered.
//
// Rules of this file:
// - The answer of a replaced function is ignored, and the new function is called: it may be for another user.
// - A page may create a function at each render, so that every answer comes from a replaced one. Then an answer is used
//   if the answer before it names the same user.
// - Where the page says who its user is, all functions are that user's, and the first answer is used.

import { isSameUser } from "../client/token.js";

/** @typedef {import("../client/tokens.js").GetToken} GetToken */
/** @typedef {import("../client/tokens.js").MaybeToken} MaybeToken */

/**
 * An open call of `ask()`. `replaced`: the last answer that came from a function replaced meanwhile.
 * @typedef {{resolve: (given: any) => void, reject: (error: unknown) => void, replaced: {given: any} | null}} Call
 */

// The pause between calls of functions that are replaced at each render. Without it, a page that renders because its
// function was called would do so in an endless loop.
export const RENEW_MS = 1_000;
const CHECK_MAX_MS = 60_000;

export class TokenSource {
  /** @type {MaybeToken | GetToken} */
  #token = "";
  #host;
  #onReplacedUse;
  #isOfOneUser;
  /** @type {Call | null} The last call, while it is open. */
  #open = null;
  #calledAt = -Infinity;
  #replacedUses = 0; // how often in a row the answer of a replaced function was used
  /** @type {any} */
  #timer;
  /** @type {any} */
  #checkTimer;

  /**
   * @param {import("../client/index.js").Host} host
   * @param {() => void} onReplacedUse called after the answer of a replaced function was used: ask the current one
   * @param {boolean} [isOfOneUser] whether the page says that all tokens are those of one user
   */
  constructor(host, onReplacedUse, isOfOneUser = false) {
    this.#host = host;
    this.#isOfOneUser = isOfOneUser;
    this.#onReplacedUse = onReplacedUse;
  }

  /** The current token or function. */
  get token() {
    return this.#token;
  }

  /** @param {MaybeToken | GetToken} token used from now on, also for an open call */
  set token(token) {
    this.#token = token;
    if (this.#open === null) return;
    if (typeof token === "function") this.#callSoon(this.#open);
    else this.#callFunction(this.#open);
  }

  /**
   * Gets a token, or none, from the current function.
   * @returns {Promise<any>}
   */
  ask() {
    return new Promise((resolve, reject) => {
      this.#open = { resolve, reject, replaced: null };
      this.#callFunction(this.#open);
    });
  }

  /** Ends the open call without an answer. */
  close() {
    this.#open = null;
    this.#host.clearTimeout(this.#timer);
    this.#host.clearTimeout(this.#checkTimer);
  }

  /** @param {Call} call */
  #callFunction(call) {
    this.#host.clearTimeout(this.#timer);
    this.#calledAt = this.#host.now();
    const called = this.#token;
    new Promise((done) => done(typeof called === "function" ? called() : called)).then(
      (given) => this.#answered(call, called, given),
      (error) => {
        if (called === this.#token || this.#isOfOneUser) this.#end(call, () => call.reject(error));
      },
    );
  }

  /** @param {Call} call */
  #callSoon(call) {
    this.#host.clearTimeout(this.#timer);
    const waitMs = Math.max(0, this.#calledAt + RENEW_MS - this.#host.now());
    this.#timer = this.#host.setTimeout(() => this.#callFunction(call), waitMs);
  }

  /**
   * @param {Call} call
   * @param {MaybeToken | GetToken} called
   * @param {any} given
   */
  #answered(call, called, given) {
    if (called === this.#token || (this.#isOfOneUser && typeof this.#token === "function")) {
      this.#replacedUses = 0;
      return this.#end(call, () => call.resolve(given));
    }
    if (call !== this.#open) return; // its call was answered already
    const { replaced } = call;
    call.replaced = { given };
    if (replaced === null) this.#callFunction(call);
    else if (!nameSameUser(replaced.given, given)) this.#callSoon(call);
    else {
      this.#end(call, () => call.resolve(given));
      this.#checkLater();
    }
  }

  /**
   * Ends a call, and answers it.
   * @param {Call} call
   * @param {() => void} report
   */
  #end(call, report) {
    if (call === this.#open) {
      this.#open = null;
      this.#host.clearTimeout(this.#timer);
    }
    report();
  }

  /** Asks again later, because the current function may be for another user. While that goes on, the pauses grow. */
  #checkLater() {
    const waitMs = Math.min(CHECK_MAX_MS, RENEW_MS * 2 ** this.#replacedUses);
    this.#replacedUses += 1;
    this.#host.clearTimeout(this.#checkTimer);
    this.#checkTimer = this.#host.setTimeout(this.#onReplacedUse, waitMs);
  }
}

/**
 * Whether two answers certainly name the same user, or both say that nobody is signed in.
 *
 * Two unreadable tokens do not count: the answer of a replaced function could then show one user the tasks of another.
 * @param {unknown} one
 * @param {unknown} other
 */
function nameSameUser(one, other) {
  const [first, second] = [one, other].map((given) => (typeof given === "string" && given !== "" ? given : null));
  return first === second || isSameUser(first, second);
}

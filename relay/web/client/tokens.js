// @ts-check
// What the application's token function gives, and what it fails to: every question to it ends, and soon.

/** @typedef {import("./host.js").Host} Host */

/** @typedef {string | null | undefined} MaybeToken nothing: there is no token yet, or nobody is signed in */
/** @typedef {() => MaybeToken | Promise<MaybeToken>} GetToken */

/**
 * A token, or why there is none: `no_token` (it gave nothing, or no text), `bad_token` (characters that
 * no token has) or `token_unavailable` (it threw, rejected, or gave no answer in time).
 * @typedef {{token: string, reason?: undefined} | {token?: undefined, reason: string}} TokenAnswer
 */

const ANSWER_WITHIN_MS = 15_000; // a later answer counts for nothing, and the function is asked again
// The reasons that only another token can mend, or the function's own recovery.
const TOKEN_REASONS = new Set(["no_token", "bad_token", "token_unavailable", "token_expired", "unauthenticated"]);
// What no header and no frame to the relay can hold. A space within is none of a token's either.
const PRINTABLE = /^[!-~]+$/;
const HTTP_TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/; // RFC 9110, 5.6.2: what a subprotocol may consist of

export class Tokens {
  #get;
  #host;
  /** @type {Set<any>} The timers of questions without an answer. */
  #timers = new Set();

  /**
   * @param {GetToken} get
   * @param {Host} host
   */
  constructor(get, host) {
    this.#get = get;
    this.#host = host;
  }

  /**
   * Asks the application, and never rejects.
   * @returns {Promise<TokenAnswer>}
   */
  ask() {
    return new Promise((answer) => {
      const timer = this.#host.setTimeout(() => end({ reason: "token_unavailable" }), ANSWER_WITHIN_MS);
      this.#timers.add(timer);
      const end = (/** @type {TokenAnswer} */ given) => {
        this.#forget(timer);
        answer(given);
      };
      new Promise((done) => done(this.#get())).then(
        (given) => end(judged(given)),
        () => end({ reason: "token_unavailable" }),
      );
    });
  }

  /** What was asked is answered no more. */
  close() {
    for (const timer of this.#timers) this.#forget(timer);
  }

  /** @param {any} timer */
  #forget(timer) {
    this.#host.clearTimeout(timer);
    this.#timers.delete(timer);
  }
}

/** @param {import("./connection.js").Status} status whether it is a usable token that is waited for */
export function isWaitingForToken({ state, reason = "" }) {
  return state === "offline" && TOKEN_REASONS.has(reason);
}

/** @param {string} token whether it can be offered as a subprotocol */
export function isHttpToken(token) {
  return HTTP_TOKEN.test(token);
}

/**
 * @param {unknown} given
 * @returns {TokenAnswer}
 */
function judged(given) {
  const token = typeof given === "string" ? given.trim() : ""; // a file or an answer may end in a newline
  if (token === "") return { reason: "no_token" };
  return PRINTABLE.test(token) ? { token } : { reason: "bad_token" };
}

// @ts-check
// Calls the application's token function, and judges what it returns. Every call ends within 15 s.

/** @typedef {import("./host.js").Host} Host */

/** @typedef {string | null | undefined} MaybeToken none where there is no token yet, or nobody is signed in */
/** @typedef {() => MaybeToken | Promise<MaybeToken>} GetToken */

/**
 * A token, or why there is none:
 * - `no_token`: the function returned nothing, or no string;
 * - `bad_token`: the string has characters that no token has;
 * - `token_unavailable`: the function threw, rejected, or did not answer in time.
 * @typedef {{token: string, reason?: undefined} | {token?: undefined, reason: string}} TokenAnswer
 */

const ANSWER_WITHIN_MS = 15_000; // a later answer is ignored, and the function is called again
// Only another token, or the recovery of the token function, can end these.
const TOKEN_REASONS = new Set([
  "no_token", "bad_token", "token_unavailable", "token_expired", "unauthenticated", "disconnected",
]);
// A token that ended in one of these is not brought again: an expired one never becomes valid, and that of a user whom
// an operator disconnected is for a person to bring again.
const ENDINGS = new Set(["token_expired", "disconnected"]);
// Printable ASCII without spaces: no header and no frame to the relay can hold anything else.
const PRINTABLE = /^[!-~]+$/;
// A proxy may refuse a longer header: nginx and Apache allow 8 KiB, with what else is in it.
const HEADER_MAX_LENGTH = 4_096;
const HTTP_TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/; // RFC 9110, 5.6.2: the characters of a subprotocol

export class Tokens {
  #get;
  #host;
  /** @type {Set<any>} The timers of calls that are not answered yet. */
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
   * Calls the token function. Never rejects.
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

  /** Leaves open calls unanswered. */
  close() {
    for (const timer of this.#timers) this.#forget(timer);
  }

  /** @param {any} timer */
  #forget(timer) {
    this.#host.clearTimeout(timer);
    this.#timers.delete(timer);
  }
}

/**
 * Whether the connection waits for a usable token.
 * @param {import("./connection.js").Status} status
 */
export function isWaitingForToken({ state, reason = "" }) {
  return state === "offline" && TOKEN_REASONS.has(reason);
}

/**
 * Whether a token that was refused for this reason may not be brought again without `retry()`.
 * @param {string} [reason]
 */
export function isEnding(reason = "") {
  return ENDINGS.has(reason);
}

/**
 * Whether a proxy may refuse a request for the length of this token.
 * @param {string} token
 */
export function isLong(token) {
  return token.length > HEADER_MAX_LENGTH;
}

/**
 * Whether a token was valid until its time was over.
 * @param {string} reason why a connection ended
 */
export function isEnded(reason) {
  return reason === "token_expired";
}

/**
 * Whether this token can be sent as a subprotocol.
 * @param {string} token
 */
export function isOfferable(token) {
  return HTTP_TOKEN.test(token) && !isLong(token);
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

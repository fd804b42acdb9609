// @ts-check
// One HTTP request with a time limit, and what its answer means for a connection.

import { DISCONNECTED, RATE_LIMITED } from "../protocol.js";
import { ABNORMAL } from "./transport.js";

/** @typedef {import("./transport.js").Ending} Ending */
/** @typedef {import("./poll-state.js").Refusal} Refusal */

/**
 * A body, or why there is none. `refusal`: the relay refused the content of the request.
 * @typedef {{body: any, ending?: undefined, refusal?: undefined}
 *   | {body?: undefined, ending: Ending, refusal?: Refusal}} Answer
 */

/**
 * What answered is not the relay: a wrong path, another server, a page to sign in to the network.
 * @type {Ending}
 */
export const NOT_FOUND = { code: ABNORMAL, reason: "not_found" };
/**
 * A proxy accepts no header as long as this token.
 * @type {Ending}
 */
const TOO_LONG = { code: ABNORMAL, reason: "bad_token" };

/**
 * Sends a request, and reads its answer. Never rejects. A redirect is not followed: it would take the token elsewhere.
 * @param {import("../host.js").Host} host
 * @param {string | URL} url
 * @param {RequestInit & {signal: AbortSignal, timeoutMs: number}} options
 * @returns {Promise<{status: number, text: string} | {failed: "silent" | "network"}>} status 0 for a redirect that a
 *   browser hides
 */
export async function request(host, url, { signal, timeoutMs, ...init }) {
  const aborting = new AbortController();
  const abort = () => aborting.abort();
  signal.addEventListener("abort", abort);
  let silent = false;
  const timer = host.setTimeout(() => {
    silent = true;
    abort();
  }, timeoutMs);
  try {
    const response = await host.fetch(url, {
      ...init,
      cache: "no-store",
      credentials: "omit",
      redirect: "manual",
      signal: aborting.signal,
    });
    return { status: response.status, text: await response.text() };
  } catch {
    return { failed: silent ? "silent" : "network" };
  } finally {
    host.clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

/**
 * @param {number} status
 * @param {string} text
 * @param {boolean} [isTokenLong] whether a proxy may refuse the request for the length of its token
 * @returns {Answer}
 */
export function answerOf(status, text, isTokenLong = false) {
  /** @type {any} */
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Not the parse error: it quotes the content.
  }
  if (status === 200) return body === null ? { ending: NOT_FOUND } : { body };
  const error = body?.data ?? {};
  const ending = endingOf(status, error);
  if (ending === NOT_FOUND && status === 400 && isTokenLong) return { ending: TOO_LONG };
  if ((status !== 400 && status !== 413) || typeof error.code !== "string") return { ending };
  return { ending, refusal: { code: error.code, message: String(error.message), tooLarge: status === 413 } };
}

/**
 * The ending that a WebSocket would have had: a close code for an HTTP status. Only what the relay itself said can end
 * the attempts: every refusal of the relay has an error code, and a proxy may be mended.
 * @param {number} status
 * @param {Partial<import("../messages.js").Error>} error
 * @returns {Ending}
 */
function endingOf(status, { code, message, retryAfterMs }) {
  const isOfRelay = typeof code === "string";
  switch (status) {
    case 401:
      return { code: 4401, reason: message === "token_expired" ? message : "unauthenticated" };
    case 403:
      // Not final: the operator may allow the origin later.
      if (message === "origin_not_allowed") return { code: ABNORMAL, reason: message };
      if (message === "disconnected") return { code: DISCONNECTED, reason: message };
      if (code === "feature_disabled") return { code: 4502, reason: code };
      return isOfRelay ? { code: 4500, reason: "forbidden" } : NOT_FOUND;
    case 400:
    case 413:
      return isOfRelay ? { code: 1008, reason: code } : NOT_FOUND;
    case 429:
      return { code: RATE_LIMITED, reason: "rate_limited", afterMs: retryAfterMs };
    case 431:
      return TOO_LONG;
    case 503:
      return { code: 1001, reason: code ?? "unavailable", afterMs: retryAfterMs };
    default: // from a proxy: above 500 it does not reach the relay
      return status >= 500 || status === 408 ? { code: ABNORMAL, reason: "network" } : NOT_FOUND;
  }
}

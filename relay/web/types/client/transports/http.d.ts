/**
 * Sends a request, and reads its answer. Never rejects. A redirect is not followed: it would take the token elsewhere.
 * @param {import("../host.js").Host} host
 * @param {string | URL} url
 * @param {RequestInit & {signal: AbortSignal, timeoutMs: number}} options
 * @returns {Promise<{status: number, text: string} | {failed: "silent" | "network"}>} status 0 for a redirect that a
 *   browser hides
 */
export function request(host: import("../host.js").Host, url: string | URL, { signal, timeoutMs, ...init }: RequestInit & {
    signal: AbortSignal;
    timeoutMs: number;
}): Promise<{
    status: number;
    text: string;
} | {
    failed: "silent" | "network";
}>;
/**
 * @param {number} status
 * @param {string} text
 * @param {boolean} [isTokenLong] whether a proxy may refuse the request for the length of its token
 * @returns {Answer}
 */
export function answerOf(status: number, text: string, isTokenLong?: boolean): Answer;
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
export const NOT_FOUND: Ending;
import type { Ending } from "./transport.js";
export type { Ending };
import type { Refusal } from "./poll-state.js";
export type { Refusal };
/**
 * A body, or why there is none. `refusal`: the relay refused the content of the request.
 */
export type Answer = {
    body: any;
    ending?: undefined;
    refusal?: undefined;
} | {
    body?: undefined;
    ending: Ending;
    refusal?: Refusal;
};

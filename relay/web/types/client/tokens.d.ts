/**
 * Whether the connection waits for a usable token.
 * @param {import("./connection.js").Status} status
 */
export function isWaitingForToken({ state, reason }: import("./connection.js").Status): boolean;
/**
 * Whether a token that was refused for this reason may not be brought again without `retry()`.
 * @param {string} [reason]
 */
export function isEnding(reason?: string): boolean;
/**
 * Whether a proxy may refuse a request for the length of this token.
 * @param {string} token
 */
export function isLong(token: string): boolean;
/**
 * Whether a token was valid until its time was over.
 * @param {string} reason why a connection ended
 */
export function isEnded(reason: string): reason is "token_expired";
/**
 * Whether this token can be sent as a subprotocol.
 * @param {string} token
 */
export function isOfferable(token: string): boolean;
export class Tokens {
    /**
     * @param {GetToken} get
     * @param {Host} host
     */
    constructor(get: GetToken, host: Host);
    /**
     * Calls the token function. Never rejects.
     * @returns {Promise<TokenAnswer>}
     */
    ask(): Promise<TokenAnswer>;
    /** Leaves open calls unanswered. */
    close(): void;
    #private;
}
import type { Host } from "./host.js";
export type { Host };
/**
 * none where there is no token yet, or nobody is signed in
 */
export type MaybeToken = string | null | undefined;
export type GetToken = () => MaybeToken | Promise<MaybeToken>;
/**
 * A token, or why there is none:
 * - `no_token`: the function returned nothing, or no string;
 * - `bad_token`: the string has characters that no token has;
 * - `token_unavailable`: the function threw, rejected, or did not answer in time.
 */
export type TokenAnswer = {
    token: string;
    reason?: undefined;
} | {
    token?: undefined;
    reason: string;
};

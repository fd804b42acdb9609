/** @param {import("./connection.js").Status} status whether it is a usable token that is waited for */
export function isWaitingForToken({ state, reason }: import("./connection.js").Status): boolean;
/** @param {string} token whether it can be offered as a subprotocol */
export function isHttpToken(token: string): boolean;
export class Tokens {
    /**
     * @param {GetToken} get
     * @param {Host} host
     */
    constructor(get: GetToken, host: Host);
    /**
     * Asks the application, and never rejects.
     * @returns {Promise<TokenAnswer>}
     */
    ask(): Promise<TokenAnswer>;
    /** What was asked is answered no more. */
    close(): void;
    #private;
}
export type Host = import("./host.js").Host;
/**
 * nothing: there is no token yet, or nobody is signed in
 */
export type MaybeToken = string | null | undefined;
export type GetToken = () => MaybeToken | Promise<MaybeToken>;
/**
 * A token, or why there is none: `no_token` (it gave nothing, or no text), `bad_token` (characters that
 * no token has) or `token_unavailable` (it threw, rejected, or gave no answer in time).
 */
export type TokenAnswer = {
    token: string;
    reason?: undefined;
} | {
    token?: undefined;
    reason: string;
};

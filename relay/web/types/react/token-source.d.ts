/** @typedef {import("../client/tokens.js").GetToken} GetToken */
/** @typedef {import("../client/tokens.js").MaybeToken} MaybeToken */
/**
 * `heard`: what the last function answered that had been replaced by then.
 * @typedef {{settle: (given: any) => void, fail: (error: unknown) => void, heard: {given: any} | null}} Question
 */
export const RENEW_MS: 1000;
export class TokenSource {
    /**
     * @param {import("../client/index.js").Host} host
     * @param {() => void} onDoubt a function was believed that had been replaced: the one of now is to be asked
     */
    constructor(host: import("../client/index.js").Host, onDoubt: () => void);
    /** @param {MaybeToken | GetToken} token what counts from now on, for an open question too */
    set token(token: MaybeToken | GetToken);
    /** The last one that was given. */
    get token(): MaybeToken | GetToken;
    /**
     * A token, or none, as the function of now gives it.
     * @returns {Promise<any>}
     */
    ask(): Promise<any>;
    /** What is open is not asked again. */
    close(): void;
    #private;
}
export type GetToken = import("../client/tokens.js").GetToken;
export type MaybeToken = import("../client/tokens.js").MaybeToken;
/**
 * `heard`: what the last function answered that had been replaced by then.
 */
export type Question = {
    settle: (given: any) => void;
    fail: (error: unknown) => void;
    heard: {
        given: any;
    } | null;
};

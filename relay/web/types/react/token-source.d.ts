/** @typedef {import("../client/tokens.js").GetToken} GetToken */
/** @typedef {import("../client/tokens.js").MaybeToken} MaybeToken */
/**
 * An open call of `ask()`. `replaced`: the last answer that came from a function replaced meanwhile.
 * @typedef {{resolve: (given: any) => void, reject: (error: unknown) => void, replaced: {given: any} | null}} Call
 */
export const RENEW_MS: 1000;
export class TokenSource {
    /**
     * @param {import("../client/index.js").Host} host
     * @param {() => void} onReplacedUse called after the answer of a replaced function was used: ask the current one
     * @param {boolean} [isOfOneUser] whether the page says that all tokens are those of one user
     */
    constructor(host: import("../client/index.js").Host, onReplacedUse: () => void, isOfOneUser?: boolean);
    /** @param {MaybeToken | GetToken} token used from now on, also for an open call */
    set token(token: MaybeToken | GetToken);
    /** The current token or function. */
    get token(): MaybeToken | GetToken;
    /**
     * Gets a token, or none, from the current function.
     * @returns {Promise<any>}
     */
    ask(): Promise<any>;
    /** Ends the open call without an answer. */
    close(): void;
    #private;
}
import type { GetToken } from "../client/tokens.js";
export type { GetToken };
import type { MaybeToken } from "../client/tokens.js";
export type { MaybeToken };
/**
 * An open call of `ask()`. `replaced`: the last answer that came from a function replaced meanwhile.
 */
export type Call = {
    resolve: (given: any) => void;
    reject: (error: unknown) => void;
    replaced: {
        given: any;
    } | null;
};

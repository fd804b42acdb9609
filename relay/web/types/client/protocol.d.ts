/**
 * PROTOCOL.md section 7.
 * @param {number} code
 * @param {string} reason
 * @returns {Verdict}
 */
export function verdict(code: number, reason: string): Verdict;
/** @typedef {{enabled: boolean, websocketUrl: string, pollUrl: string, protocol: number}} Config */
/**
 * What to do after a close: try again (after a time the server named, if it named one), try again
 * with a fresh token, rest until there is another token, or give up.
 * @typedef {{then: "reconnect", afterMs?: number} | {then: "refresh"} | {then: "other_token"} | {then: "give_up"}} Verdict
 */
export const SUBPROTOCOL: "relay.v1";
export const BEARER_PREFIX: "bearer.";
export const MAX_BATCH: 100;
export const DASHBOARD_LIMIT_DEFAULT: 500;
export const DASHBOARD_LIMIT_MAX: 5000;
export const MAX_MESSAGE_BYTES_DEFAULT: 65536;
export const DISCONNECTED: 4403;
export const RATE_LIMITED: 4429;
export type Config = {
    enabled: boolean;
    websocketUrl: string;
    pollUrl: string;
    protocol: number;
};
/**
 * What to do after a close: try again (after a time the server named, if it named one), try again
 * with a fresh token, rest until there is another token, or give up.
 */
export type Verdict = {
    then: "reconnect";
    afterMs?: number;
} | {
    then: "refresh";
} | {
    then: "other_token";
} | {
    then: "give_up";
};

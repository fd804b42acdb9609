/**
 * The user (`sub`) that a token names. It is not verified here, because only the relay can do that.
 *
 * An integer is read as its digits, as the relay reads it. Undefined for an integer that JavaScript cannot hold
 * exactly: its rounded digits could be those of another user.
 * @param {string} jwt
 * @returns {string | undefined}
 */
export function subjectOf(jwt: string): string | undefined;
/**
 * When a token expires, as an RFC 3339 time; "" if that cannot be read.
 * @param {string} jwt
 */
export function expiryOf(jwt: string): string;
/**
 * When a token was issued and when it expires, in ms since the epoch; without what it does not say.
 * @param {string} jwt
 * @returns {{issuedAt?: number, expiresAt?: number}}
 */
export function timesOf(jwt: string): {
    issuedAt?: number;
    expiresAt?: number;
};
/**
 * Whether two tokens certainly name the same user; false where either user cannot be read.
 * @param {string | null} one
 * @param {string | null} other
 */
export function isSameUser(one: string | null, other: string | null): boolean;

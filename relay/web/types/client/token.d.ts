/**
 * Whom a token names, unverified: that is the relay's work. A whole number is its digits, as the relay reads it;
 * one with more digits than a number here can hold is not told, because it could be another's.
 * @param {string} jwt
 * @returns {string | undefined}
 */
export function subjectOf(jwt: string): string | undefined;
/**
 * Whether two tokens surely are of one user. Where that cannot be told they are of two.
 * @param {string | null} one
 * @param {string | null} other
 */
export function isSameUser(one: string | null, other: string | null): boolean;

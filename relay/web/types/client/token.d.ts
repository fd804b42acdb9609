/**
 * Whom a token names, unverified: that is the relay's work.
 * @param {string} jwt
 * @returns {unknown}
 */
export function subjectOf(jwt: string): unknown;

// @ts-check
// Reads the user of a token, and its times. Pure.

/**
 * The user (`sub`) that a token names. It is not verified here, because only the relay can do that.
 *
 * An integer is read as its digits, as the relay reads it. Undefined for an integer that JavaScript cannot hold
 * exactly: its rounded digits could be those of another user.
 * @param {string} jwt
 * @returns {string | undefined}
 */
export function subjectOf(jwt) {
  const { sub } = claimsOf(jwt);
  if (Number.isSafeInteger(sub)) return String(sub);
  return typeof sub === "string" ? sub : undefined;
}

/**
 * When a token expires, as an RFC 3339 time; "" if that cannot be read.
 * @param {string} jwt
 */
export function expiryOf(jwt) {
  const time = new Date(Number(claimsOf(jwt).exp ?? NaN) * 1000);
  return Number.isNaN(time.getTime()) ? "" : time.toISOString();
}

/**
 * When a token was issued and when it expires, in ms since the epoch; without what it does not say.
 * @param {string} jwt
 * @returns {{issuedAt?: number, expiresAt?: number}}
 */
export function timesOf(jwt) {
  const { iat, exp } = claimsOf(jwt);
  return {
    ...(typeof iat === "number" ? { issuedAt: iat * 1_000 } : {}),
    ...(typeof exp === "number" ? { expiresAt: exp * 1_000 } : {}),
  };
}

/**
 * Whether two tokens certainly name the same user; false where either user cannot be read.
 * @param {string | null} one
 * @param {string | null} other
 */
export function isSameUser(one, other) {
  if (one === null || other === null) return false;
  if (one === other) return true;
  const subject = subjectOf(one);
  return subject !== undefined && subject === subjectOf(other);
}

/**
 * The claims of a token; none where they cannot be read.
 * @param {string} jwt
 * @returns {{sub?: unknown, exp?: unknown, iat?: unknown}}
 */
function claimsOf(jwt) {
  try {
    const payload = jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const text = new TextDecoder().decode(Uint8Array.from(atob(payload), (c) => c.charCodeAt(0)));
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

// @ts-check
// What a token says to whoever holds it. Pure.

/**
 * Whom a token names, unverified: that is the relay's work. A whole number is its digits, as the relay reads it;
 * one with more digits than a number here can hold is not told, because it could be another's.
 * @param {string} jwt
 * @returns {string | undefined}
 */
export function subjectOf(jwt) {
  try {
    const payload = jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const text = new TextDecoder().decode(Uint8Array.from(atob(payload), (c) => c.charCodeAt(0)));
    const { sub } = JSON.parse(text);
    if (Number.isSafeInteger(sub)) return String(sub);
    return typeof sub === "string" ? sub : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether two tokens surely are of one user. Where that cannot be told they are of two.
 * @param {string | null} one
 * @param {string | null} other
 */
export function isSameUser(one, other) {
  if (one === null || other === null) return false;
  if (one === other) return true;
  const subject = subjectOf(one);
  return subject !== undefined && subject === subjectOf(other);
}

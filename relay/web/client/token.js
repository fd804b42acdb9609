// @ts-check
// Reads the user of a token. Pure.

/**
 * The user (`sub`) that a token names. It is not verified here, because only the relay can do that.
 *
 * An integer is read as its digits, as the relay reads it. Undefined for an integer that JavaScript cannot hold
 * exactly: its rounded digits could be those of another user.
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

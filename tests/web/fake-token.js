// A token with only the parts that a page reads.

/** @param {string} json its claims */
export function rawToken(json) {
  return `x.${btoa(json).replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_")}.x`;
}

/**
 * @param {string | number} sub the user
 * @param {number} [serial] what else makes it another one
 */
export function tokenOf(sub, serial = 0) {
  return rawToken(JSON.stringify({ sub, serial }));
}

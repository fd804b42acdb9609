// @ts-check
// Says whether a text shows anything. Pure.

// Spaces, controls, and what Unicode wants to be invisible: zero-width characters, soft hyphens, signs of direction.
const SEEN = /[^\s\p{Cc}\p{Default_Ignorable_Code_Point}\u2800]/u;

/**
 * A text of a document, if a reader can see anything of it. A name that consists of blanks or of invisible characters
 * is no name: a page has to show another text in its place.
 * @param {string | undefined} text
 * @returns {string | undefined} the text as it is
 */
export function visible(text) {
  return text !== undefined && SEEN.test(text) ? text : undefined;
}

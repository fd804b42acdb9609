// @ts-check
// Finds web addresses and digests in a text. Pure.

/**
 * A part of a text. The `text` of all parts, joined, is the whole text. A part with `href` is a web address, and `href`
 * is http(s) always; a part with `short` is a long digest, and `short` is what is enough of it for people.
 * @typedef {{text: string, href?: string, short?: string}} Part
 */

// Addresses end at blanks, at what encloses them, and at characters that turn the direction of writing, with which an
// address can be made to look like another one.
const ADDRESS = /(?<![\p{L}\p{N}_])https?:\/\/[^\s<>"'`|\\^«»“”„‘’「」。，、；！？\u200E\u200F\u202A-\u202E\u2066-\u2069]+/u;
const DIGEST = /(?<![\p{L}\p{N}_])(?:[0-9a-f]{64}|[0-9a-f]{40})(?![\p{L}\p{N}_])/u;
const FOUND = new RegExp(`(?<address>${ADDRESS.source})|(?<digest>${DIGEST.source})`, "giu");
const SHORT_DIGEST_CHARACTERS = 7;
/** @type {ReadonlyMap<string, string>} */
const OPENS = new Map([[")", "("], ["]", "["], ["}", "{"]]);

/**
 * Divides a text at its web addresses (http and https) and at its digests of 40 or 64 hexadecimal digits.
 *
 * Punctuation that ends the sentence is no part of an address, and neither is a bracket that opened before it. An
 * address with a user name is no link, because `https://bank.example@evil.example` leads to the second name.
 * @param {string} text
 * @returns {Part[]} in the order of the text; none of them is empty
 */
export function partsOf(text) {
  /** @type {Part[]} */
  const parts = [];
  let from = 0;
  for (const { index, groups } of text.matchAll(FOUND)) {
    const part = groups?.address === undefined ? digest(groups?.digest ?? "") : address(groups.address);
    if (!part) continue;
    if (index > from) parts.push({ text: text.slice(from, index) });
    parts.push(part);
    from = index + part.text.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
}

/**
 * @param {string} found
 * @returns {Part | undefined}
 */
function address(found) {
  const text = withoutEnd(found);
  if (!URL.canParse(text)) return undefined;
  const { href, protocol, username, password } = new URL(text);
  const isSafe = (protocol === "http:" || protocol === "https:") && username === "" && password === "";
  return isSafe ? { text, href } : undefined;
}

/**
 * @param {string} text
 * @returns {Part | undefined}
 */
function digest(text) {
  if (/^[0-9]+$/.test(text)) return undefined; // more likely a number
  return { text, short: text.slice(0, SHORT_DIGEST_CHARACTERS) };
}

/**
 * An address without the punctuation and the brackets that belong to the sentence around it.
 * @param {string} found
 */
function withoutEnd(found) {
  /** @type {Map<string, number>} How many more brackets of a kind are closed than opened. */
  const closed = new Map();
  for (const character of found) {
    for (const [close, open] of OPENS) {
      if (character === close) closed.set(close, (closed.get(close) ?? 0) + 1);
      else if (character === open) closed.set(close, (closed.get(close) ?? 0) - 1);
    }
  }
  let end = found.length;
  for (; end > 0; end -= 1) {
    const last = found[end - 1];
    const more = closed.get(last) ?? 0;
    if (more > 0) closed.set(last, more - 1);
    else if (!".,:;!?*_~…".includes(last)) break;
  }
  return found.slice(0, end);
}

// @ts-check
// Finds where a text contains another one, whatever the case and the accents. Pure.

import { fold } from "./search.js";

/**
 * The places in a text that equal another one when both are folded.
 * @param {string} text
 * @param {string} wanted folded by `fold`
 * @returns {{start: number, end: number}[]} in the order of the text; they do not overlap
 */
export function occurrencesIn(text, wanted) {
  if (wanted === "" || !fold(text).includes(wanted)) return [];
  const { folded, offsets } = foldedByCharacter(text);
  /** @type {{start: number, end: number}[]} */
  const found = [];
  for (let at = folded.indexOf(wanted); at !== -1; at = folded.indexOf(wanted, at + wanted.length)) {
    const start = offsets[at];
    const end = offsets[at + wanted.length];
    // Inside of a letter that folds to two, as in "ß", the place of the whole letter counts.
    if (end > start) found.push({ start, end });
  }
  return found;
}

/**
 * @param {string} text
 * @returns {{folded: string, offsets: number[]}} for each position in `folded`, the offset in `text`
 */
function foldedByCharacter(text) {
  let folded = "";
  /** @type {number[]} */
  const offsets = [];
  let offset = 0;
  for (const character of text) {
    const letters = fold(character);
    for (let letter = 0; letter < letters.length; letter += 1) offsets.push(offset);
    folded += letters;
    offset += character.length;
  }
  return { folded, offsets: [...offsets, offset] };
}

/**
 * A text of a document, if a reader can see anything of it. A name that consists of blanks or of invisible characters
 * is no name: a page has to show another text in its place.
 * @param {string | undefined} text
 * @returns {string | undefined} the text as it is
 */
export function visible(text: string | undefined): string | undefined;

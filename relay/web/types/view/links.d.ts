/**
 * Divides a text at its web addresses (http and https) and at its digests of 40 or 64 hexadecimal digits.
 *
 * Punctuation that ends the sentence is no part of an address, and neither is a bracket that opened before it. An
 * address with a user name is no link, because `https://bank.example@evil.example` leads to the second name.
 * @param {string} text
 * @returns {Part[]} in the order of the text; none of them is empty
 */
export function partsOf(text: string): Part[];
/**
 * A part of a text. The `text` of all parts, joined, is the whole text. A part with `href` is a web address, and `href`
 * is http(s) always; a part with `short` is a long digest, and `short` is what is enough of it for people.
 */
export type Part = {
    text: string;
    href?: string;
    short?: string;
};

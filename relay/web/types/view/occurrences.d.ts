/**
 * The places in a text that equal another one when both are folded.
 * @param {string} text
 * @param {string} wanted folded by `fold`
 * @returns {{start: number, end: number}[]} in the order of the text; they do not overlap
 */
export function occurrencesIn(text: string, wanted: string): {
    start: number;
    end: number;
}[];

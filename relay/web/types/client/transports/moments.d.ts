/**
 * The greatest of the moments that polls were answered with. Several instances answer, some of them
 * behind others: with this one, none answers with an older state than any of them gave.
 */
export class Moments {
    /** @type {string | undefined} */
    latest: string | undefined;
    /** @param {string | undefined} moment */
    note(moment: string | undefined): void;
}

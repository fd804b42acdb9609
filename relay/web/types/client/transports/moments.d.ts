/**
 * The latest moment of all answers. Several instances of the relay may answer, and some are behind others. A poll that
 * carries the latest moment is never answered with an older state.
 */
export class Moments {
    /** @type {string | undefined} */
    latest: string | undefined;
    /** @param {string | undefined} moment */
    note(moment: string | undefined): void;
}

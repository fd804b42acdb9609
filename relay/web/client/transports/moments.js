// @ts-check
// The position of the relay in the change stream, as polls carry it (PROTOCOL.md section 8). Pure.

const MOMENT = /^(\d+)\.(\d+)$/; // seconds, and a number within the second

/**
 * The latest moment of all answers. Several instances of the relay may answer, and some are behind others. A poll that
 * carries the latest moment is never answered with an older state.
 */
export class Moments {
  /** @type {string | undefined} */
  latest;

  /** @param {string | undefined} moment */
  note(moment) {
    if (moment !== undefined && (this.latest === undefined || !isEarlier(moment, this.latest))) this.latest = moment;
  }
}

/**
 * @param {string} moment
 * @param {string} other
 */
function isEarlier(moment, other) {
  const [one, two] = [moment, other].map((text) => MOMENT.exec(text)?.slice(1).map(Number));
  if (!one || !two) return false; // an unknown form: take the newer answer
  return one[0] === two[0] ? one[1] < two[1] : one[0] < two[0];
}

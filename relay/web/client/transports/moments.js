// @ts-check
// How far the relay had come when it answered (PROTOCOL.md section 8). Pure.

const MOMENT = /^(\d+)\.(\d+)$/; // seconds, and a number within the second

/**
 * The greatest of the moments that polls were answered with. Several instances answer, some of them
 * behind others: with this one, none answers with an older state than any of them gave.
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
  if (!one || !two) return false; // what cannot be compared is taken as it comes
  return one[0] === two[0] ? one[1] < two[1] : one[0] < two[0];
}

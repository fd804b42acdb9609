// @ts-check
// What is asked for together: as much as one request may hold. Pure.

/**
 * `share`: the most items that one request may hold if this one is among them. A request for twice as many
 * was refused as a whole, without a word about which of them was at fault.
 * @typedef {{share?: number}} Asked
 */

/**
 * One request holds up to `most` items and up to `bytes` bytes. An item that is larger goes by itself.
 * @template T
 * @typedef {{most: number, bytes: number, sizeOf: (item: T) => number}} Limits
 */

/**
 * As few requests as possible, in order. Items under suspicion come last and apart from the rest, so that
 * they spoil no request but their own.
 * @template {Asked} T
 * @param {readonly T[]} items
 * @param {Limits<T>} limits
 * @returns {T[][]}
 */
export function batches(items, limits) {
  const suspects = items.filter(({ share }) => share !== undefined);
  suspects.sort((one, other) => Number(other.share) - Number(one.share));
  return [items.filter(({ share }) => share === undefined), suspects].flatMap((some) => [...packed(some, limits)]);
}

/**
 * A request for all of these was refused as a whole: from here on each is asked for among half as many, and
 * in the end alone.
 * @param {readonly Asked[]} items
 */
export function halve(items) {
  const share = Math.ceil(items.length / 2);
  for (const item of items) item.share = share;
}

/**
 * @template {Asked} T
 * @param {readonly T[]} items
 * @param {Limits<T>} limits
 */
function* packed(items, { most, bytes, sizeOf }) {
  /** @type {T[]} */
  let batch = [];
  let room = most;
  let left = bytes;
  for (const item of items) {
    const size = sizeOf(item);
    const share = Math.min(most, item.share ?? most);
    if (batch.length > 0 && (batch.length >= Math.min(room, share) || size > left)) {
      yield batch;
      batch = [];
      room = most;
      left = bytes;
    }
    batch.push(item);
    room = Math.min(room, share);
    left -= size;
  }
  if (batch.length > 0) yield batch;
}

const encoder = new TextEncoder();

/**
 * @param {unknown} value
 * @returns {number} bytes of its JSON
 */
export function sizeOfJson(value) {
  return encoder.encode(JSON.stringify(value)).length;
}

// @ts-check
// Divides items among as few requests as possible. Pure.

/**
 * `share`: how many items a request may hold at most if this item is among them. It is set after a request for twice as
 * many was refused as a whole, without naming the item at fault.
 * @typedef {{share?: number}} Asked
 */

/**
 * One request holds up to `most` items and up to `bytes` bytes. A larger item gets a request of its own.
 * @template T
 * @typedef {{most: number, bytes: number, sizeOf: (item: T) => number}} Limits
 */

/**
 * Divides the items, in order. Items with a `share` come last and in requests of their own, so that an item at fault
 * cannot make the relay refuse the others.
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
 * Halves the `share` of items whose request was refused as a whole. Repeated, each ends in a request of its own.
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

/**
 * @param {unknown} value
 * @returns {number} bytes of its JSON
 */
export function sizeOfJson(value) {
  // Not a TextEncoder: the jsdom of Jest has none. JSON.stringify escapes half of a surrogate pair, so this never throws.
  return encodeURIComponent(JSON.stringify(value)).replace(/%../g, "_").length;
}

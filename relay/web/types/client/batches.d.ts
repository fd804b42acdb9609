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
export function batches<T extends Asked>(items: readonly T[], limits: Limits<T>): T[][];
/**
 * Halves the `share` of items whose request was refused as a whole. Repeated, each ends in a request of its own.
 * @param {readonly Asked[]} items
 */
export function halve(items: readonly Asked[]): void;
/**
 * @param {unknown} value
 * @returns {number} bytes of its JSON
 */
export function sizeOfJson(value: unknown): number;
/**
 * `share`: how many items a request may hold at most if this item is among them. It is set after a request for twice as
 * many was refused as a whole, without naming the item at fault.
 */
export type Asked = {
    share?: number;
};
/**
 * One request holds up to `most` items and up to `bytes` bytes. A larger item gets a request of its own.
 */
export type Limits<T> = {
    most: number;
    bytes: number;
    sizeOf: (item: T) => number;
};

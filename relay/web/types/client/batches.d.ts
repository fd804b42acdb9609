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
export function batches<T extends Asked>(items: readonly T[], limits: Limits<T>): T[][];
/**
 * A request for all of these was refused as a whole: from here on each is asked for among half as many, and
 * in the end alone.
 * @param {readonly Asked[]} items
 */
export function halve(items: readonly Asked[]): void;
/**
 * @param {unknown} value
 * @returns {number} bytes of its JSON
 */
export function sizeOfJson(value: unknown): number;
/**
 * `share`: the most items that one request may hold if this one is among them. A request for twice as many
 * was refused as a whole, without a word about which of them was at fault.
 */
export type Asked = {
    share?: number;
};
/**
 * One request holds up to `most` items and up to `bytes` bytes. An item that is larger goes by itself.
 */
export type Limits<T> = {
    most: number;
    bytes: number;
    sizeOf: (item: T) => number;
};

/**
 * The part of a snapshot that `select` returns. It keeps its identity while it is the same: an array or a plain object
 * is compared by its elements, and these by theirs.
 *
 * `select` has to be pure. It may be another function at each render: it is then called once more.
 * @template A
 * @template S
 * @param {(listener: () => void) => () => void} watch
 * @param {() => A} read
 * @param {() => A} readOnServer
 * @param {((snapshot: A) => S) | undefined} select without it, the part is all of it
 * @returns {S}
 */
export function useSelected<A, S>(watch: (listener: () => void) => () => void, read: () => A, readOnServer: () => A, select: ((snapshot: A) => S) | undefined): S;
/**
 * A value with everything of the one before that is the same. The one before if all of it is.
 * @template V
 * @param {V} before
 * @param {V} value
 * @param {number} [levels] how deep arrays and plain objects are compared
 * @returns {V}
 */
export function shared<V>(before: V, value: V, levels?: number): V;

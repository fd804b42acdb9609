// @ts-check
// Reads a part of a snapshot, so that a component renders only when that part changed.

import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";

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
export function useSelected(watch, read, readOnServer, select) {
  const last = useRef(/** @type {{part: S} | null} */ (null));
  const [get, getOnServer] = useMemo(() => {
    const pick = select ?? ((/** @type {A} */ snapshot) => /** @type {S} */ (/** @type {unknown} */ (snapshot)));
    /** @type {{snapshot: A, part: S} | null} */
    let memo = null;
    const partOf = (/** @type {A} */ snapshot) => {
      if (memo === null || memo.snapshot !== snapshot) {
        const part = pick(snapshot);
        const before = memo ?? last.current;
        memo = { snapshot, part: before === null ? part : shared(before.part, part) };
      }
      return memo.part;
    };
    return [() => partOf(read()), () => partOf(readOnServer())];
  }, [read, readOnServer, select]);
  const part = useSyncExternalStore(watch, get, getOnServer);
  useEffect(() => {
    last.current = { part };
  }, [part]);
  return part;
}

/**
 * A value with everything of the one before that is the same. The one before if all of it is.
 * @template V
 * @param {V} before
 * @param {V} value
 * @param {number} [levels] how deep arrays and plain objects are compared
 * @returns {V}
 */
export function shared(before, value, levels = 2) {
  if (Object.is(before, value)) return before;
  if (levels === 0 || !isPlain(before) || !isPlain(value)) return value;
  if (Array.isArray(before) !== Array.isArray(value)) return value;
  const keys = Object.keys(value);
  const parts = keys.map((key) => shared(before[key], value[key], levels - 1));
  const isSame = keys.length === Object.keys(before).length
    && keys.every((key, index) => Object.hasOwn(before, key) && Object.is(before[key], parts[index]));
  if (isSame) return before;
  if (keys.every((key, index) => Object.is(value[key], parts[index]))) return value;
  return /** @type {any} */ (Array.isArray(value) ? parts : Object.fromEntries(keys.map((key, index) => [key, parts[index]])));
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isPlain(value) {
  if (typeof value !== "object" || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

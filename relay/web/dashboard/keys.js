// @ts-check
// The keyboard shortcuts of the page. They never act with Ctrl, Alt or Meta, in a dialog, or while somebody types.

import { find } from "./dom.js";

/**
 * What the keys do. `move` opens the task above or below where one lies beside the list, and moves the focus elsewhere;
 * `step` always moves the focus. `leave` is for Esc, which takes back one thing at a time.
 * @typedef {{[does in "search" | "leave" | "end" | "next" | "copy"]: () => void}
 *   & {[moves in "move" | "step"]: (by: number) => void} & {find?: () => void}} Actions
 */

const TYPED_INTO = "input:not([type=checkbox]), textarea, select, [contenteditable]";
const ONCE = new Set(["n", "c", "f", "/", "?"]); // holding such a key down does nothing more
const HELD_MS = 150; // a key that is held down moves no faster, because each task that is opened is asked of the relay

/** @param {Actions} actions */
export function listenToKeys({ move, step, next, copy, find: findInTimeline = () => {}, search, leave, end }) {
  const help = find("#help");
  find("#help-button").addEventListener("click", () => help.showModal());
  const actions = new Map([
    ["ArrowDown", () => step(1)],
    ["ArrowUp", () => step(-1)],
    ["j", () => move(1)],
    ["k", () => move(-1)],
    ["n", next],
    ["c", copy],
    ["f", findInTimeline],
    ["End", end],
    ["/", search],
    ["?", () => help.showModal()],
  ]);
  let actedAt = -Infinity;
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isComposing(event) || document.querySelector("dialog[open], :popover-open")) return;
    if (event.key === "Escape") return leave();
    const key = withoutLock(event);
    const action = actions.get(key);
    if (!action || isItsOwn(event)) return;
    event.preventDefault();
    if (event.repeat && (ONCE.has(key) || performance.now() - actedAt < HELD_MS)) return;
    actedAt = performance.now();
    action();
  });
}

/**
 * The key as it is without the lock of capital letters.
 * @param {KeyboardEvent} event
 */
function withoutLock({ key, shiftKey }) {
  return key.length === 1 && !shiftKey ? key.toLowerCase() : key;
}

/**
 * Whether the key belongs to a word that is composed, as in Japanese or Chinese.
 * @param {KeyboardEvent} event
 */
function isComposing({ isComposing, keyCode }) {
  return isComposing || keyCode === 229; // Safari ends the composition before it tells of the key that ended it
}

/**
 * Whether the focused element uses this key itself: letters in a field, arrows in a timeline.
 * @param {KeyboardEvent} event
 */
function isItsOwn({ target, key }) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.id === "search") return key !== "ArrowDown"; // which leads to the first row
  if (target.closest(TYPED_INTO)) return true;
  return (key.startsWith("Arrow") || key === "End") && target.closest(".timeline, pre") !== null;
}

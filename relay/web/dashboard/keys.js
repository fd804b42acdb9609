// @ts-check
// The keyboard shortcuts of the page.

import { find } from "./dom.js";

/** @param {Record<"search" | "leave" | "end", () => void> & {step: (by: number) => void}} page */
export function listenToKeys({ step, search, leave, end }) {
  const help = find("#help");
  find("#help-button").addEventListener("click", () => help.showModal());
  const actions = new Map([
    ["ArrowDown", () => step(1)],
    ["j", () => step(1)],
    ["ArrowUp", () => step(-1)],
    ["k", () => step(-1)],
    ["End", end],
    ["/", search],
    ["?", () => help.showModal()],
  ]);
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (document.querySelector(":popover-open")) return;
    if (event.key === "Escape") return leave();
    const action = actions.get(event.key);
    if (!action || isItsOwn(event)) return;
    event.preventDefault();
    action();
  });
}

/**
 * Whether the focused element uses this key itself: letters in a field, arrows in a timeline.
 * @param {KeyboardEvent} event
 */
function isItsOwn({ target, key }) {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return key !== "ArrowDown";
  return key.startsWith("Arrow") && target.closest(".timeline") !== null;
}

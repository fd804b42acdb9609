// @ts-check
// A long technical text, as an error with its traceback or the data of an event: monospaced, as it was written.

import { copyButton } from "./clipboard.js";
import { say } from "./language.js";
import { setLinkedText } from "./rich-text.js";

const FOLDED_LINES = 12;

/**
 * Makes the element of a text. It scrolls by itself, keeps line breaks and indentation, and has a button that copies
 * all of it.
 * @param {string} text
 * @param {{label?: string, folds?: boolean}} [how] `folds`: whether more than 12 lines are folded at first; `label`:
 *   what the text is, for a screen reader
 */
export function blockElement(text, { label = say("block"), folds = true } = {}) {
  const block = document.createElement("div");
  block.className = "block";
  const pre = document.createElement("pre");
  pre.tabIndex = 0; // it scrolls, so the keyboard has to reach it
  pre.setAttribute("role", "group");
  pre.setAttribute("aria-label", label);
  setLinkedText(pre, text);
  block.append(pre, copyButton(() => text, () => pre));
  const lines = text.split("\n").length;
  if (folds && lines > FOLDED_LINES) block.append(unfoldButton(block, lines));
  return block;
}

/**
 * @param {Element} block
 * @param {number} count
 */
function unfoldButton(block, count) {
  const button = document.createElement("button");
  button.className = "block-fold";
  const show = (/** @type {boolean} */ isFolded) => {
    block.classList.toggle("folded", isFolded);
    button.setAttribute("aria-expanded", String(!isFolded));
    button.textContent = isFolded ? say("block.unfold", { count }) : say("block.fold");
  };
  button.addEventListener("click", () => show(!block.classList.contains("folded")));
  show(true);
  return button;
}

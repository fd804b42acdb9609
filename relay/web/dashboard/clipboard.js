// @ts-check
// Copies texts, and shows on the button that was pressed that it has.

import { find, setText } from "./dom.js";
import { say } from "./language.js";

const COPIED_MS = 1_500;

/**
 * A button with the word "Copy" that copies a text.
 * @param {() => string} textOf
 * @param {() => Element} shownBy shows the text: it is selected where the browser does not let the page copy
 */
export function copyButton(textOf, shownBy) {
  const button = document.createElement("button");
  button.className = "button copy";
  button.append(copyIcon(), document.createElement("span"));
  const label = find("span:last-child", button);
  setText(label, say("copy"));
  button.addEventListener("click", async () => {
    setText(label, (await copy(textOf(), shownBy())) ? say("copied") : say("copy.selected"));
    setTimeout(() => setText(label, say("copy")), COPIED_MS);
  });
  return button;
}

export function copyIcon() {
  const icon = document.createElement("span");
  icon.className = "icon";
  icon.dataset.icon = "copy";
  return icon;
}

/**
 * Copies a text to the clipboard. Where the browser does not let the page do that, the text is selected instead, so
 * that the reader can copy it.
 * @param {string} text
 * @param {Element} [element] that shows the text
 * @returns {Promise<boolean>} whether it was copied
 */
export async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (copiedInTheOldWay(text)) return true;
    if (element) getSelection()?.selectAllChildren(element);
    return false;
  }
}

/**
 * Copies a text on a page that is not secure (http), which has no `navigator.clipboard`.
 * @param {string} text
 */
function copiedInTheOldWay(text) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.className = "unseen";
  field.value = text;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return isCopied;
}

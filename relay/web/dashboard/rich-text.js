// @ts-check
// Texts of documents, with links for their web addresses, short forms of their digests, and marks where the relay
// redacted a secret.

import { partsOf } from "../view/index.js";
import { copy, copyIcon } from "./clipboard.js";
import { outwardLink, setDocumentText } from "./dom.js";
import { say } from "./language.js";

/** @import { Part } from "../view/index.js" */

/**
 * Sets the text of a document. `textContent` is the whole text afterwards, and so is what a reader selects and copies:
 * what a short form leaves out is there, only not visible.
 * @param {Element} element
 * @param {string} text
 */
export function setRichText(element, text) {
  if (element.textContent !== text) setParts(element, text, partsOf(text));
}

/**
 * Sets a technical text of a document: with links for its web addresses, and its digests as they are.
 * @param {Element} element
 * @param {string} text
 */
export function setLinkedText(element, text) {
  if (element.textContent === text) return;
  setParts(element, text, partsOf(text).map(({ text, href }) => ({ text, href })));
}

/**
 * @param {Element} element
 * @param {string} text
 * @param {Part[]} parts of the text
 */
function setParts(element, text, parts) {
  if (parts.length <= 1 && parts.every((part) => part.href === undefined && part.short === undefined)) {
    return setDocumentText(element, text);
  }
  element.replaceChildren(...parts.map(elementOf));
}

/** @param {Part} part */
function elementOf({ text, href, short }) {
  if (short !== undefined) return digest(text, short);
  const element = href === undefined ? document.createElement("span") : outwardLink(href);
  if (href !== undefined) element.className = "address";
  setDocumentText(element, text);
  return element;
}

/**
 * @param {string} text
 * @param {string} short
 */
function digest(text, short) {
  const element = document.createElement("span");
  element.className = "digest";
  element.title = text;
  const rest = document.createElement("span");
  rest.className = "digest-rest";
  rest.textContent = text.slice(short.length);
  const button = document.createElement("button");
  button.className = "digest-copy";
  button.setAttribute("aria-label", say("copy.digest", { digest: short }));
  button.append(copyIcon());
  button.addEventListener("click", async () => {
    button.classList.toggle("copied", await copy(text, element));
  });
  button.addEventListener("pointerleave", () => button.classList.remove("copied"));
  element.append(short, rest, button);
  return element;
}

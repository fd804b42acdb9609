// @ts-check
// Helpers that change the document only where something differs.

import { webAddress } from "../view/index.js";
import { say } from "./language.js";

const REDACTED = "[redacted]"; // PROTOCOL.md section 5

/**
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {any} an element of this page's HTML, of any kind
 */
export function find(selector, root = document) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * A copy of the element in a template.
 * @param {string} id of a template with one element
 */
export function stamp(id) {
  return /** @type {HTMLElement} */ (find(`#${id}`).content.firstElementChild.cloneNode(true));
}

/**
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Sets the text of a document, and marks what the relay redacted in it.
 * @param {Element} element
 * @param {string} text
 */
export function setDocumentText(element, text) {
  if (!text.includes(REDACTED)) return setText(element, text);
  if (element.textContent === text) return;
  const [first, ...others] = text.split(REDACTED);
  element.replaceChildren(first, ...others.flatMap((part) => [redacted(), part]));
}

function redacted() {
  const mark = document.createElement("mark");
  mark.className = "redacted";
  mark.title = say("task.redacted");
  mark.textContent = REDACTED;
  return mark;
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {string | undefined} value undefined removes the attribute
 */
export function setAttribute(element, name, value) {
  if (value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * A link out of the page. For anything but an http(s) address it is a `span`, so that no document can run scripts.
 * @param {string | undefined} url untrusted
 */
export function outwardLink(url) {
  const address = webAddress(url);
  if (address === undefined) return document.createElement("span");
  const link = document.createElement("a");
  link.href = address;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}

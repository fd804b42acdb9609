// @ts-check
// Small steps on the document that leave it alone when nothing changed.

const MOTION_MS = 200;
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * @template {Element} [E=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {E}
 */
export function find(selector, root = document) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return /** @type {E} */ (found);
}

/** @param {string} id of a template with one element */
export function stamp(id) {
  const template = /** @type {HTMLTemplateElement} */ (find(`#${id}`));
  return /** @type {HTMLElement} */ (find("*", template.content).cloneNode(true));
}

/**
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {string | undefined} value undefined takes the attribute away
 */
export function setAttribute(element, name, value) {
  if (value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** @param {string} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/**
 * A link out of the page, for http(s) addresses; anything else is only text.
 * @param {string | undefined} url untrusted
 */
export function outwardLink(url) {
  const href = url !== undefined && URL.canParse(url) ? new URL(url) : undefined;
  if (href?.protocol !== "https:" && href?.protocol !== "http:") return document.createElement("span");
  const link = document.createElement("a");
  link.href = href.href;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}

/**
 * Puts a node before another; one that is in the document already keeps its focus where the
 * browser can do that.
 * @param {Element} parent
 * @param {Element} node
 * @param {Element | null} before
 */
export function place(parent, node, before) {
  if (node.isConnected && "moveBefore" in parent) /** @type {any} */ (parent).moveBefore(node, before);
  else parent.insertBefore(node, before);
}

/** @param {Element} element */
export function pulse(element) {
  move(element, [{ transform: "scale(1)" }, { transform: "scale(1.12)" }, { transform: "scale(1)" }]);
}

/** @param {Element} element */
export function slideIn(element) {
  move(element, [{ opacity: 0, transform: "translateY(-6px)" }, { opacity: 1, transform: "none" }]);
}

/**
 * @param {Element} element
 * @param {Keyframe[]} frames
 */
function move(element, frames) {
  if (!reducedMotion.matches) element.animate(frames, { duration: MOTION_MS, easing: "ease-out" });
}

// @ts-check
// Copies texts to the clipboard, and says whether that worked.

import { find, setText } from "./dom.js";
import { say } from "./language.js";
import { addressOf } from "./row.js";

const SHOWN_MS = 1_500;

/** @type {Map<HTMLElement, ReturnType<typeof setTimeout>>} Buttons that say now what came of their last press. */
const saying = new Map();

/**
 * Copies a text, and shows in the pressed button for a moment what came of it.
 *
 * Of the button, a `.icon` becomes a tick, and an element with `data-say` says the outcome.
 * @param {HTMLElement} button
 * @param {string} text
 * @param {Element} [shown] shows this text: it is selected where the browser lets nothing be copied
 */
export async function copyFrom(button, text, shown) {
  const outcome = await copied(text, shown);
  clearTimeout(saying.get(button));
  show(button, outcome);
  saying.set(button, setTimeout(() => show(button, undefined), SHOWN_MS));
}

/** Copies the link to the open task, if one is open. The link is absolute and holds no token. */
export async function copyLink() {
  const { taskId } = find("article.task").dataset;
  if (taskId !== undefined) await copyFrom(find(".copy-link"), linkTo(taskId));
}

/**
 * The link to a task in this page, without what else the address may hold: a search, a language.
 * @param {string} taskId
 */
function linkTo(taskId) {
  return `${location.origin}${location.pathname}${addressOf(taskId)}`;
}

/**
 * @param {string} text
 * @param {Element} [shown]
 * @returns {Promise<"copied" | "selected" | "failed">}
 */
async function copied(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return "copied";
  } catch {
    if (copiedInTheOldWay(text)) return "copied";
    if (shown) getSelection()?.selectAllChildren(shown);
    return shown ? "selected" : "failed";
  }
}

/**
 * Copies a text where the browser has no clipboard for a page, because the page is not secure (http).
 * @param {string} text
 * @returns {boolean} whether it was copied
 */
function copiedInTheOldWay(text) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.className = "unseen";
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return done;
}

/**
 * @param {HTMLElement} button
 * @param {"copied" | "selected" | "failed" | undefined} outcome undefined for what the button says otherwise
 */
function show(button, outcome) {
  const icon = button.querySelector(".icon");
  if (icon instanceof HTMLElement) icon.dataset.icon = outcome === "copied" ? "done" : "copy";
  const label = button.querySelector("[data-say]");
  if (label) setText(label, say(outcome ? `copy.${outcome}` : (label.getAttribute("data-say") ?? "")));
  if (outcome) setText(find("#said"), say(`copy.${outcome}`));
}

// @ts-check
// Copies the link and the id of the open task.

import { copy } from "./clipboard.js";
import { find, setText } from "./dom.js";
import { say } from "./language.js";
import { addressOf } from "./row.js";

const SHOWN_MS = 1_500;

/** Copies the link to the open task, if one is open. The link is absolute, and holds no token. */
export async function copyLink() {
  const { taskId } = find("article.task").dataset;
  if (taskId === undefined) return;
  // Nothing else of the address: a search and a language are the reader's own.
  const link = `${location.origin}${location.pathname}${addressOf(taskId)}`;
  await copyFrom(find(".copy-link"), link, say("task.link-copied"));
}

/** Copies the whole id of the open task. */
export async function copyId() {
  const { taskId } = find("article.task").dataset;
  if (taskId !== undefined) await copyFrom(find(".copy-id"), taskId, say("task.id-copied"));
}

/**
 * Copies a text. The icon of the button is a tick for a moment, and a screen reader says what was copied.
 * @param {HTMLElement} button
 * @param {string} text
 * @param {string} done what is said then
 */
async function copyFrom(button, text, done) {
  if (!(await copy(text))) return setText(find("#said"), say("copy.failed"));
  button.classList.add("copied");
  setText(find("#said"), done);
  setTimeout(() => button.classList.remove("copied"), SHOWN_MS);
}

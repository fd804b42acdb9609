// @ts-check
// Which tasks some words are about. Pure.

/** @typedef {import("../client/messages.js").TaskSummary} TaskSummary */

/**
 * @param {TaskSummary} task
 * @param {string} words in lower case; none let everything through
 */
export function matches({ title, creator, status, issueNumber, prNumber }, words) {
  if (words === "") return true;
  const numbers = [issueNumber, prNumber].map((number) => number && `#${number}`);
  return [title, creator, status, ...numbers].some((text) => text && text.toLowerCase().includes(words));
}

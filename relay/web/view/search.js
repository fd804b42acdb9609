// @ts-check
// Filters tasks by words. Pure.

/** @typedef {import("../client/messages.js").TaskSummary} TaskSummary */

/**
 * Whether a task contains these words in its title, creator, status, or in the numbers of its issue and pull request.
 * @param {TaskSummary} task
 * @param {string} words in lower case; every task matches ""
 */
export function matches({ title, creator, status, issueNumber, prNumber }, words) {
  if (words === "") return true;
  const numbers = [issueNumber, prNumber].map((number) => number && `#${number}`);
  return [title, creator, status, ...numbers].some((text) => text && text.toLowerCase().includes(words));
}

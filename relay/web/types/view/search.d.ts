/** @typedef {import("../client/messages.js").TaskSummary} TaskSummary */
/**
 * Whether a task contains these words in its title, creator, status, or in the numbers of its issue and pull request.
 * @param {TaskSummary} task
 * @param {string} words in lower case; every task matches ""
 */
export function matches({ title, creator, status, issueNumber, prNumber }: TaskSummary, words: string): boolean;
export type TaskSummary = import("../client/messages.js").TaskSummary;

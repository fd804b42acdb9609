/** @typedef {import("../client/messages.js").TaskSummary} TaskSummary */
/**
 * @param {TaskSummary} task
 * @param {string} words in lower case; none let everything through
 */
export function matches({ title, creator, status, issueNumber, prNumber }: TaskSummary, words: string): boolean;
export type TaskSummary = import("../client/messages.js").TaskSummary;

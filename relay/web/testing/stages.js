// @ts-check
// What statuses and types of events mean: the relay's default mapping. Pure.

/** @typedef {NonNullable<import("../client/messages.js").TaskSummary["stage"]>} Stage */

/** @type {Record<Stage, readonly string[]>} */
export const EVENT_TYPES = {
  analyzing: ["analyzing", "analysis_started", "llm_started"],
  clarification_needed: ["clarification_needed", "needs_clarification", "questions_asked"],
  dispatched: ["dispatched", "issue_created"],
  pr_opened: ["pr_opened", "pull_request_opened"],
  pr_merged: ["pr_merged", "merged", "pull_request_merged"],
  failed: ["failed", "error", "task_failed"],
};

/** @type {Record<Stage, readonly string[]>} */
export const STATUSES = {
  analyzing: ["analyzing"],
  clarification_needed: ["clarification_needed", "needs_clarification"],
  dispatched: ["dispatched"],
  pr_opened: ["pr_opened", "in_review"],
  pr_merged: ["merged", "pr_merged"],
  failed: ["failed"],
};

/**
 * The fields of each lifecycle message, besides `taskId` and `status`.
 * @type {Record<Stage, readonly (keyof import("../client/messages.js").TaskSummary)[]>}
 */
export const LIFECYCLE_FIELDS = {
  analyzing: [],
  clarification_needed: ["questions"],
  dispatched: ["issueUrl", "issueNumber"],
  pr_opened: ["prUrl", "prNumber"],
  pr_merged: ["mergeCommitSha"],
  failed: ["error"],
};

/** The stages in which a task waits for its creator, unless it names somebody else. */
export const WAITING = new Set(["clarification_needed", "pr_opened", "failed"]);

const BY_EVENT_TYPE = byName(EVENT_TYPES);
const BY_STATUS = byName(STATUSES);

/** @param {string} type of an event */
export function stageOfEvent(type) {
  return BY_EVENT_TYPE.get(snake(type));
}

/** @param {string | undefined} status */
export function stageOfStatus(status) {
  return status === undefined ? undefined : BY_STATUS.get(snake(status));
}

/** @param {Record<Stage, readonly string[]>} table */
function byName(table) {
  /** @type {Map<string, Stage>} */
  const found = new Map();
  for (const [stage, names] of /** @type {[Stage, string[]][]} */ (Object.entries(table))) {
    for (const name of names) found.set(snake(name), stage);
  }
  return found;
}

/**
 * The normal form of a name, as the relay compares names: `task:pr_opened`, `prOpened` and `pr-opened` are `pr_opened`.
 * @param {string} name
 */
function snake(name) {
  const words = name.replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, "_").toLowerCase();
  const joined = words.replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, "");
  return joined.replace(/^task_(?=.)/, "");
}

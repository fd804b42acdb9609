// @ts-check
// How the stage of a task and the types of its events are shown: steps, labels. Pure.
//
// The relay sends the stage that a status stands for, because each deployment maps statuses of its own. An event has
// only its type, so the event types of the default mapping decide colours and steps.

import { visible } from "./visible.js";

/** @typedef {import("../client/messages.js").TaskSummary} TaskSummary */
/**
 * A stage as a page shows it: the name of a colour and of an icon.
 * @typedef {"created" | "analyzing" | "questions" | "dispatched" | "review" | "done" | "failed"} ShownStage
 */

/** @type {Record<ShownStage, string>} An object is safe here: every key is a constant. */
const LABELS = {
  created: "Created",
  analyzing: "Analyzing",
  questions: "Questions",
  dispatched: "Dispatched",
  review: "Review ready",
  done: "Merged",
  failed: "Failed",
};

// Words that come from the relay or from documents are looked up in Maps. In an object, "constructor" would be found.
/** @type {ReadonlyMap<string | undefined, ShownStage>} By the `stage` of a summary. */
const SHOWN_AS = new Map([
  ["analyzing", "analyzing"],
  ["clarification_needed", "questions"],
  ["dispatched", "dispatched"],
  ["pr_opened", "review"],
  ["pr_merged", "done"],
  ["failed", "failed"],
]);

// Statuses that mean an end even where the mapping does not list them. The status itself is the label.
/** @type {ReadonlyMap<string, ShownStage>} */
const STAGE_OF_OTHER_STATUS = new Map([
  ["completed", "done"],
  ["done", "done"],
  ["closed", "done"],
  ["resolved", "done"],
  ["cancelled", "done"],
  ["canceled", "done"],
  ["error", "failed"],
]);

// Event types that belong to a stage and are no step.
/** @type {ReadonlyMap<string, ShownStage>} */
const STAGE_OF_OTHER_EVENT = new Map([
  ["clarification_needed", "questions"],
  ["needs_clarification", "questions"],
  ["questions_asked", "questions"],
  ["failed", "failed"],
  ["error", "failed"],
]);

/** The steps of a task, in order. */
export const STEPS = /** @type {const} */ (["created", "analyzing", "dispatched", "review", "merged"]);
/** @typedef {(typeof STEPS)[number]} Step */

/** @type {ReadonlyMap<string, Step>} */
const STEP_OF_EVENT = new Map([
  ["created", "created"],
  ["analyzing", "analyzing"],
  ["analysis_started", "analyzing"],
  ["llm_started", "analyzing"],
  ["dispatched", "dispatched"],
  ["issue_created", "dispatched"],
  ["pr_opened", "review"],
  ["pull_request_opened", "review"],
  ["pr_merged", "merged"],
  ["merged", "merged"],
  ["pull_request_merged", "merged"],
]);

const ACRONYMS = /\b(pr|ci|llm|api|url|id)\b/g;

/**
 * How to show where a task is: its stage, and the label of that stage.
 *
 * Without a stage, as for a status that the mapping does not list, the label is the status itself: `hasOwnLabel`.
 * @param {TaskSummary} task
 * @returns {{stage: ShownStage, label: string, hasOwnLabel: boolean}}
 */
export function stageOf(task) {
  const known = SHOWN_AS.get(task.stage);
  const stage = further(task, known ?? STAGE_OF_OTHER_STATUS.get(snake(task.status ?? "")) ?? "created");
  const own = known || stage === "review" ? "" : readable(task.status ?? "");
  return { stage, label: own || LABELS[stage], hasOwnLabel: own !== "" };
}

/**
 * The stage that the pull request of a task shows, where a writer records that and does not update the status.
 * @param {TaskSummary} task
 * @param {ShownStage} stage
 * @returns {ShownStage}
 */
function further(task, stage) {
  if (stage !== "created" && stage !== "dispatched") return stage;
  if (task.mergeCommitSha) return "done";
  return task.prUrl || task.prNumber ? "review" : stage;
}

/**
 * The step that a type of event means.
 * @param {string | null | undefined} eventType
 * @returns {Step | undefined}
 */
export function stepOfEvent(eventType) {
  return STEP_OF_EVENT.get(snake(eventType ?? ""));
}

/**
 * The stage that a type of event belongs to, for its colour.
 * @param {string | null | undefined} eventType
 * @returns {ShownStage | undefined}
 */
export function stageOfEvent(eventType) {
  const step = stepOfEvent(eventType);
  return step === "merged" ? "done" : (step ?? STAGE_OF_OTHER_EVENT.get(snake(eventType ?? "")));
}

/**
 * The name of a status or type as words: `task:pr_opened`, `PR_OPENED` and `prOpened` all become "PR opened".
 * @param {string} name
 * @returns {string} "" for a name of which nothing can be seen
 */
export function readable(name) {
  if (visible(name) === undefined) return "";
  const words = snake(name).replaceAll("_", " ").replace(ACRONYMS, (word) => word.toUpperCase());
  return words === "" ? name : words[0].toUpperCase() + words.slice(1);
}

/** @type {Map<string, string>} */
const snakes = new Map();
const SNAKES_MAX = 1000; // usually there are few names; past this many the cache starts again

/** @param {string} name */
function snake(name) {
  let words = snakes.get(name);
  if (words === undefined) {
    if (snakes.size >= SNAKES_MAX) snakes.clear();
    snakes.set(name, (words = inSnakeCase(name)));
  }
  return words;
}

/** @param {string} name */
function inSnakeCase(name) {
  if (/^-?[0-9]+$/.test(name)) return name; // keep the sign of a number, because -3 is another status than 3
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "_")
    .replace(/^_|_$/g, "")
    .replace(/^task_(?=.)/, "");
}

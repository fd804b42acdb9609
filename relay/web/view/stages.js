// @ts-check
// How the stage of a task and the types of its events are shown: sections, steps, labels. Pure.
//
// The relay says which stage a status stands for, because each deployment maps its own statuses. Of an event it
// sends only the type, so the names of the default mapping serve for colours and steps.

/** @typedef {import("../client/messages.js").TaskSummary} TaskSummary */
/** @typedef {"created" | "analyzing" | "questions" | "dispatched" | "review" | "done" | "failed"} ShownStage as it is shown */
/** @typedef {"needs-you" | "in-progress" | "failed" | "completed"} Section */

/** @type {Section[]} in the order of the page */
export const SECTIONS = ["needs-you", "in-progress", "failed", "completed"];

/** @type {Record<ShownStage, {label: string, section: Section}>} looked up only by a stage of ours */
const STAGES = {
  created: { label: "Created", section: "in-progress" },
  analyzing: { label: "Analyzing", section: "in-progress" },
  questions: { label: "Questions", section: "needs-you" },
  dispatched: { label: "Dispatched", section: "in-progress" },
  review: { label: "Review ready", section: "needs-you" },
  done: { label: "Merged", section: "completed" },
  failed: { label: "Failed", section: "failed" },
};

// Words of the relay and of documents are looked up in Maps: in an object, "constructor" finds a method.
/** @type {ReadonlyMap<string | undefined, ShownStage>} By the `stage` of a summary. */
const SHOWN_AS = new Map([
  ["analyzing", "analyzing"],
  ["clarification_needed", "questions"],
  ["dispatched", "dispatched"],
  ["pr_opened", "review"],
  ["pr_merged", "done"],
  ["failed", "failed"],
]);

// Statuses that the mapping does not list, but whose end is plain. Their own word is the label.
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

// Events that speak of a stage without being a step.
/** @type {ReadonlyMap<string, ShownStage>} */
const STAGE_OF_OTHER_EVENT = new Map([
  ["clarification_needed", "questions"],
  ["needs_clarification", "questions"],
  ["questions_asked", "questions"],
  ["failed", "failed"],
  ["error", "failed"],
]);

/** The way of a task, in order. */
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
 * @param {TaskSummary} task
 * @returns {{stage: ShownStage, label: string, section: Section}}
 */
export function stageOf(task) {
  const known = SHOWN_AS.get(task.stage);
  const stage = further(task, known ?? STAGE_OF_OTHER_STATUS.get(snake(task.status ?? "")) ?? "created");
  const { label, section } = STAGES[stage];
  const ownWord = !known && task.status && stage !== "review";
  return { stage, section, label: ownWord ? readable(task.status ?? "") : label };
}

/**
 * Some writers only record the pull request and leave the status behind.
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
 * @param {string | null | undefined} eventType
 * @returns {Step | undefined}
 */
export function stepOfEvent(eventType) {
  return STEP_OF_EVENT.get(snake(eventType ?? ""));
}

/**
 * The stage an event speaks of, for its colour.
 * @param {string | null | undefined} eventType
 * @returns {ShownStage | undefined}
 */
export function stageOfEvent(eventType) {
  const step = stepOfEvent(eventType);
  return step === "merged" ? "done" : (step ?? STAGE_OF_OTHER_EVENT.get(snake(eventType ?? "")));
}

/**
 * `task:pr_opened`, `PR_OPENED` and `prOpened` all read "PR opened".
 * @param {string} name
 */
export function readable(name) {
  const words = snake(name).replaceAll("_", " ").replace(ACRONYMS, (word) => word.toUpperCase());
  return words === "" ? name : words[0].toUpperCase() + words.slice(1);
}

/** @type {Map<string, string>} */
const snakes = new Map();
const SNAKES_MAX = 1000; // there are few words; if they should be many, they are worked out again

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
  if (/^-?[0-9]+$/.test(name)) return name; // a number of the writer's: without its sign it would be another
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "_")
    .replace(/^_|_$/g, "")
    .replace(/^task_(?=.)/, "");
}

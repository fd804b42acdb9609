/**
 * @param {TaskSummary} task
 * @returns {{stage: ShownStage, label: string, section: Section}}
 */
export function stageOf(task: TaskSummary): {
    stage: ShownStage;
    label: string;
    section: Section;
};
/**
 * @param {string | null | undefined} eventType
 * @returns {Step | undefined}
 */
export function stepOfEvent(eventType: string | null | undefined): Step | undefined;
/**
 * The stage an event speaks of, for its colour.
 * @param {string | null | undefined} eventType
 * @returns {ShownStage | undefined}
 */
export function stageOfEvent(eventType: string | null | undefined): ShownStage | undefined;
/**
 * `task:pr_opened`, `PR_OPENED` and `prOpened` all read "PR opened".
 * @param {string} name
 */
export function readable(name: string): string;
/** @typedef {import("../client/messages.js").TaskSummary} TaskSummary */
/** @typedef {"created" | "analyzing" | "questions" | "dispatched" | "review" | "done" | "failed"} ShownStage as it is shown */
/** @typedef {"needs-you" | "in-progress" | "failed" | "completed"} Section */
/** @type {Section[]} in the order of the page */
export const SECTIONS: Section[];
/** The way of a task, in order. */
export const STEPS: readonly ["created", "analyzing", "dispatched", "review", "merged"];
export type TaskSummary = import("../client/messages.js").TaskSummary;
/**
 * as it is shown
 */
export type ShownStage = "created" | "analyzing" | "questions" | "dispatched" | "review" | "done" | "failed";
export type Section = "needs-you" | "in-progress" | "failed" | "completed";
export type Step = (typeof STEPS)[number];

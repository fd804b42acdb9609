/**
 * @param {TaskSummary} task
 * @returns {{stage: Stage, label: string, section: Section}}
 */
export function standing(task: TaskSummary): {
    stage: Stage;
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
 * @returns {Stage | undefined}
 */
export function stageOfEvent(eventType: string | null | undefined): Stage | undefined;
/**
 * `task:pr_opened`, `PR_OPENED` and `prOpened` all read "PR opened".
 * @param {string} name
 */
export function readable(name: string): string;
/** @typedef {import("./messages.js").TaskSummary} TaskSummary */
/** @typedef {"created" | "analyzing" | "questions" | "dispatched" | "review" | "done" | "failed"} Stage as it is shown */
/** @typedef {"needs-you" | "in-progress" | "failed" | "completed"} Section */
/** @type {Section[]} in the order of the page */
export const SECTIONS: Section[];
/** The way of a task, in order. */
export const STEPS: readonly ["created", "analyzing", "dispatched", "review", "merged"];
export type TaskSummary = import("./messages.js").TaskSummary;
/**
 * as it is shown
 */
export type Stage = "created" | "analyzing" | "questions" | "dispatched" | "review" | "done" | "failed";
export type Section = "needs-you" | "in-progress" | "failed" | "completed";
export type Step = (typeof STEPS)[number];

/**
 * How to show where a task is: its stage, and the label of that stage.
 *
 * Without a stage, as for a status that the mapping does not list, the label is the status itself: `hasOwnLabel`.
 * @param {TaskSummary} task
 * @returns {{stage: ShownStage, label: string, hasOwnLabel: boolean}}
 */
export function stageOf(task: TaskSummary): {
    stage: ShownStage;
    label: string;
    hasOwnLabel: boolean;
};
/**
 * The step that a type of event means.
 * @param {string | null | undefined} eventType
 * @returns {Step | undefined}
 */
export function stepOfEvent(eventType: string | null | undefined): Step | undefined;
/**
 * The stage that a type of event belongs to, for its colour.
 * @param {string | null | undefined} eventType
 * @returns {ShownStage | undefined}
 */
export function stageOfEvent(eventType: string | null | undefined): ShownStage | undefined;
/**
 * The name of a status or type as words: `task:pr_opened`, `PR_OPENED` and `prOpened` all become "PR opened".
 * @param {string} name
 * @returns {string} "" for a name of which nothing can be seen
 */
export function readable(name: string): string;
/** The steps of a task, in order. */
export const STEPS: readonly ["created", "analyzing", "dispatched", "review", "merged"];
import type { TaskSummary } from "../client/messages.js";
export type { TaskSummary };
/**
 * A stage as a page shows it: the name of a colour and of an icon.
 */
export type ShownStage = "created" | "analyzing" | "questions" | "dispatched" | "review" | "done" | "failed";
export type Step = (typeof STEPS)[number];

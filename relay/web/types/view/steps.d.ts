/** @import { Event, TaskSummary } from "../client/messages.js" */
/** @import { ShownStage, Step } from "./stages.js" */
/** @typedef {Map<Step, number | undefined>} Reached when each step was reached, in ms since the epoch */
/**
 * `state` is that of the task where it left the way. `tookMs` counts until the next step that is
 * known, or until now; undefined where nothing is known or the task has ended.
 * @typedef {{step: Step, state: "done" | "current" | "questions" | "failed" | "ahead", tookMs?: number}} StepTaken
 */
/**
 * When each step was reached for the first time, as far as the document tells.
 * @param {TaskSummary} task
 * @param {readonly (Event | null)[]} events
 * @returns {Reached}
 */
export function reachedAt(task: TaskSummary, events: readonly (Event | null)[]): Reached;
/**
 * @param {TaskSummary} task
 * @param {Reached} reached
 * @param {number} now ms since the epoch
 * @returns {StepTaken[]} all of them, in order
 */
export function stepsOf(task: TaskSummary, reached: Reached, now: number): StepTaken[];
/**
 * when each step was reached, in ms since the epoch
 */
export type Reached = Map<Step, number | undefined>;
/**
 * `state` is that of the task where it left the way. `tookMs` counts until the next step that is
 * known, or until now; undefined where nothing is known or the task has ended.
 */
export type StepTaken = {
    step: Step;
    state: "done" | "current" | "questions" | "failed" | "ahead";
    tookMs?: number;
};
import type { TaskSummary } from "../client/messages.js";
import type { Event } from "../client/messages.js";
import type { Step } from "./stages.js";

/** @import { Event, TaskSummary } from "../client/messages.js" */
/** @import { ShownStage, Step } from "./stages.js" */
/** @typedef {Map<Step, number | undefined>} Reached when each step was reached, in ms since the epoch */
/**
 * `state` is `questions` or `failed` at the step where the task waits or failed. `tookMs` counts until the next step
 * whose time is known, or until now. It is undefined where no time is known, and for the last step of a task that has
 * ended.
 * @typedef {{step: Step, state: "done" | "current" | "questions" | "failed" | "ahead", tookMs?: number}} StepTaken
 */
/**
 * When each step was reached for the first time, from the summary and the events.
 * @param {TaskSummary} task
 * @param {readonly (Event | null)[]} events
 * @returns {Reached}
 */
export function reachedAt(task: TaskSummary, events: readonly (Event | null)[]): Reached;
/**
 * When the task came into the stage that it is in, in ms since the epoch. Where the events say nothing of it, the last
 * change of the task is the best that is known.
 * @param {TaskSummary} task
 * @param {readonly (Event | null)[]} events
 * @returns {number | undefined}
 */
export function enteredAt(task: TaskSummary, events: readonly (Event | null)[]): number | undefined;
/**
 * When the task came into the stage that it is in, as its events say it, in ms since the epoch: the first event of the
 * last run of events that mean this stage. Undefined where the events say nothing of it.
 * @param {TaskSummary} task
 * @param {readonly (Event | null)[]} events
 * @returns {number | undefined}
 */
export function enteredByEvents(task: TaskSummary, events: readonly (Event | null)[]): number | undefined;
/**
 * All steps of a task, in order.
 * @param {TaskSummary} task
 * @param {Reached} reached
 * @param {number} now ms since the epoch
 * @returns {StepTaken[]}
 */
export function stepsOf(task: TaskSummary, reached: Reached, now: number): StepTaken[];
/**
 * when each step was reached, in ms since the epoch
 */
export type Reached = Map<Step, number | undefined>;
/**
 * `state` is `questions` or `failed` at the step where the task waits or failed. `tookMs` counts until the next step
 * whose time is known, or until now. It is undefined where no time is known, and for the last step of a task that has
 * ended.
 */
export type StepTaken = {
    step: Step;
    state: "done" | "current" | "questions" | "failed" | "ahead";
    tookMs?: number;
};
import type { TaskSummary } from "../client/messages.js";
import type { Event } from "../client/messages.js";
import type { Step } from "./stages.js";

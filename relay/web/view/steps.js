// @ts-check
// The steps of a task: which are done, which is current, and how long each took. Pure.

import { STEPS, stageOf, stageOfEvent, stepOfEvent } from "./stages.js";
import { parseTime } from "./time.js";

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
export function reachedAt(task, events) {
  /** @type {Reached} */
  const reached = new Map([["created", parseTime(task.createdAt)]]);
  for (const event of events) {
    const step = stepOfEvent(event?.type);
    if (step && reached.get(step) === undefined) reached.set(step, parseTime(event?.at));
  }
  return reached;
}

/**
 * When the task came into the stage that it is in, in ms since the epoch. Where the events say nothing of it, the last
 * change of the task is the best that is known.
 * @param {TaskSummary} task
 * @param {readonly (Event | null)[]} events
 * @returns {number | undefined}
 */
export function enteredAt(task, events) {
  return enteredByEvents(task, events) ?? parseTime(task.updatedAt) ?? parseTime(task.createdAt);
}

/**
 * When the task came into the stage that it is in, as its events say it, in ms since the epoch: the first event of the
 * last run of events that mean this stage. Undefined where the events say nothing of it.
 * @param {TaskSummary} task
 * @param {readonly (Event | null)[]} events
 * @returns {number | undefined}
 */
export function enteredByEvents(task, events) {
  const { stage } = stageOf(task);
  let entered;
  for (let index = events.length - 1; index >= 0; index -= 1) {
    const event = events[index];
    const meant = stageOfEvent(event?.type);
    if (meant !== undefined && meant !== stage) break;
    if (meant === stage) entered = parseTime(event?.at) ?? entered;
  }
  return entered;
}

/**
 * All steps of a task, in order.
 * @param {TaskSummary} task
 * @param {Reached} reached
 * @param {number} now ms since the epoch
 * @returns {StepTaken[]}
 */
export function stepsOf(task, reached, now) {
  const { stage } = stageOf(task);
  const current = currentStep(task, stage, reached);
  return STEPS.map((step, index) => ({
    step,
    state: stateOf(index, current, stage),
    tookMs: index > current ? undefined : took(index, index === current, stage, reached, now),
  }));
}

/**
 * The index of the furthest step that the stage, the links or the events show.
 * @param {TaskSummary} task
 * @param {ShownStage} stage
 * @param {Reached} reached
 */
function currentStep(task, stage, reached) {
  /** @type {Step[]} */
  const signs = [...reached.keys()];
  if (stage === "analyzing" || stage === "questions") signs.push("analyzing");
  if (stage === "dispatched" || task.issueUrl || task.issueNumber) signs.push("dispatched");
  if (stage === "review" || task.prUrl || task.prNumber) signs.push("review");
  if (stage === "done") signs.push("merged");
  return Math.max(...signs.map((step) => STEPS.indexOf(step)));
}

/**
 * @param {number} index
 * @param {number} current
 * @param {ShownStage} stage
 * @returns {StepTaken["state"]}
 */
function stateOf(index, current, stage) {
  if (index < current || stage === "done") return "done";
  if (index > current) return "ahead";
  return stage === "failed" || stage === "questions" ? stage : "current";
}

/**
 * @param {number} index
 * @param {boolean} isCurrent
 * @param {ShownStage} stage
 * @param {Reached} reached
 * @param {number} now
 */
function took(index, isCurrent, stage, reached, now) {
  const from = reached.get(STEPS[index]);
  const ended = stage === "done" || stage === "failed";
  const later = STEPS.slice(index + 1).map((step) => reached.get(step));
  const to = isCurrent ? (ended ? undefined : now) : later.find((at) => at !== undefined);
  return from === undefined || to === undefined ? undefined : to - from;
}

// @ts-check
// The line of steps a task goes through, with the time each took.

import { setAttribute, setText } from "./dom.js";
import { STEPS, readable, standing, stepOfEvent } from "./stages.js";
import { duration, moment } from "./time.js";

/** @typedef {import("/client/index.js").TaskSummary} TaskSummary */
/** @typedef {import("/client/index.js").Event} Event */
/** @typedef {import("./stages.js").Step} Step */
/** @typedef {"done" | "current" | "questions" | "failed" | "ahead"} StepState */

/**
 * @param {Element} line
 * @param {TaskSummary} task
 * @param {readonly (Event | null)[]} events
 */
export function showSteps(line, task, events) {
  if (line.childElementCount === 0) line.append(...STEPS.map(stepElement));
  const reached = reachedAt(task, events);
  const { stage } = standing(task);
  const current = currentStep(task, stage, reached);
  STEPS.forEach((step, index) => {
    const element = line.children[index];
    setAttribute(element, "data-state", stateOf(index, current, stage));
    setAttribute(element, "aria-current", index === current && stage !== "done" ? "step" : undefined);
    setText(element.children[1], took(step, index, current, stage, reached));
  });
}

/** @param {Step} step */
function stepElement(step) {
  const element = document.createElement("li");
  const [name, time] = [document.createElement("span"), document.createElement("span")];
  element.dataset.step = step;
  name.className = "step-name";
  name.textContent = readable(step);
  time.className = "step-time";
  element.append(name, time);
  return element;
}

/**
 * When each step was reached for the first time, as far as the document tells.
 * @param {TaskSummary} task
 * @param {readonly (Event | null)[]} events
 * @returns {Map<Step, number | undefined>}
 */
function reachedAt(task, events) {
  /** @type {Map<Step, number | undefined>} */
  const reached = new Map([["created", moment(task.createdAt)]]);
  for (const event of events) {
    const step = stepOfEvent(event?.type);
    if (step && reached.get(step) === undefined) reached.set(step, moment(event?.at));
  }
  return reached;
}

/**
 * The furthest step that the status, the links or the events speak of.
 * @param {TaskSummary} task
 * @param {import("./stages.js").Stage} stage
 * @param {Map<Step, unknown>} reached
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
 * @param {import("./stages.js").Stage} stage
 * @returns {StepState}
 */
function stateOf(index, current, stage) {
  if (index < current || stage === "done") return "done";
  if (index > current) return "ahead";
  return stage === "failed" || stage === "questions" ? stage : "current";
}

/**
 * How long a step took until the next one that is known; the current one counts until now.
 * @param {Step} step
 * @param {number} index
 * @param {number} current
 * @param {import("./stages.js").Stage} stage
 * @param {Map<Step, number | undefined>} reached
 */
function took(step, index, current, stage, reached) {
  const from = reached.get(step);
  if (from === undefined || index > current) return "";
  const ended = stage === "done" || stage === "failed";
  if (index === current) return ended ? "" : duration(Date.now() - from);
  const next = STEPS.slice(index + 1).map((later) => reached.get(later)).find((at) => at !== undefined);
  return next === undefined ? "" : duration(next - from);
}

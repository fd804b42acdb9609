// @ts-check
// The line of steps a task goes through, with the time each took.

import { setAttribute, setText } from "./dom.js";
import { STEPS, readable, standing, stepOfEvent } from "./stages.js";
import { duration, moment } from "./time.js";

/** @typedef {import("/client/index.js").TaskSummary} TaskSummary */
/** @typedef {import("/client/index.js").Event} Event */
/** @typedef {import("./stages.js").Step} Step */
/** @typedef {import("./stages.js").Stage} Stage */
/** @typedef {Map<Step, number | undefined>} Reached when each step was reached, in ms since the epoch */

/**
 * @param {Element} line
 * @param {TaskSummary} task
 * @param {Reached} reached
 */
export function showSteps(line, task, reached) {
  if (line.childElementCount === 0) line.append(...STEPS.map(stepElement));
  const { stage } = standing(task);
  const current = currentStep(task, stage, reached);
  STEPS.forEach((step, index) => {
    const element = line.children[index];
    const [, time, branch] = element.children;
    setAttribute(element, "data-state", stateOf(index, current, stage));
    setAttribute(element, "aria-current", index === current && stage !== "done" ? "step" : undefined);
    setText(time, took(step, index, current, stage, reached));
    const branches = index === current && (stage === "questions" || stage === "failed");
    setAttribute(branch, "data-stage", branches ? stage : undefined);
    setText(branch, branches ? readable(stage) : "");
  });
}

/** @param {Step} step */
function stepElement(step) {
  const element = document.createElement("li");
  element.dataset.step = step;
  element.append(...["step-name", "step-time", "step-branch"].map((name) => {
    const part = document.createElement("span");
    part.className = name;
    return part;
  }));
  setText(element.children[0], readable(step));
  return element;
}

/**
 * When each step was reached for the first time, as far as the document tells.
 * @param {TaskSummary} task
 * @param {readonly (Event | null)[]} events
 * @returns {Reached}
 */
export function reachedAt(task, events) {
  /** @type {Reached} */
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
 * @param {Stage} stage
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
 * @param {Stage} stage
 * @returns {"done" | "current" | "questions" | "failed" | "ahead"}
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
 * @param {Stage} stage
 * @param {Reached} reached
 */
function took(step, index, current, stage, reached) {
  const from = reached.get(step);
  if (from === undefined || index > current) return "";
  const ended = stage === "done" || stage === "failed";
  if (index === current) return ended ? "" : duration(Date.now() - from);
  const next = STEPS.slice(index + 1).map((later) => reached.get(later)).find((at) => at !== undefined);
  return next === undefined ? "" : duration(next - from);
}

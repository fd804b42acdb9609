// @ts-check
// Shows the steps of a task as a line, with the time each took.

import { STEPS, stepsOf } from "../view/index.js";
import { setAttribute, setText } from "./dom.js";
import { say } from "./language.js";
import { shortDuration } from "./time.js";

/** @import { TaskSummary } from "../client/index.js" */
/** @import { Reached, Step } from "../view/index.js" */

/**
 * @param {Element} line
 * @param {TaskSummary} task
 * @param {Reached} reached
 */
export function showSteps(line, task, reached) {
  if (line.childElementCount === 0) line.append(...STEPS.map(stepElement));
  stepsOf(task, reached, Date.now()).forEach(({ state, tookMs }, index) => {
    const element = line.children[index];
    const [, time, branch] = element.children;
    const leaves = state === "questions" || state === "failed";
    setAttribute(element, "data-state", state);
    setAttribute(element, "aria-current", leaves || state === "current" ? "step" : undefined);
    setText(time, tookMs === undefined ? "" : shortDuration(tookMs));
    setAttribute(branch, "data-stage", leaves ? state : undefined);
    setText(branch, leaves ? say(`stage.${state}`) : "");
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
  setText(element.children[0], say(`step.${step}`));
  return element;
}

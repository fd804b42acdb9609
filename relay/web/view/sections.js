// @ts-check
// Which section of the list a task belongs to for one user: whom it waits for decides. Pure.

import { stageOf } from "./stages.js";

/** @typedef {import("../client/messages.js").TaskSummary} TaskSummary */
/** @typedef {import("./stages.js").ShownStage} ShownStage */
/**
 * The values that each claim of a user has, as in `relay.me`. Only claims that the mapping's `[needs]` names are here.
 * @typedef {{readonly [claim: string]: readonly string[]}} Me
 */
/** @typedef {"needs-me" | "needs-others" | "in-progress" | "failed" | "completed"} Section */

/** @type {Section[]} In the order of the page. */
export const SECTIONS = ["needs-me", "needs-others", "in-progress", "failed", "completed"];

/**
 * The section of a task in the list of this user.
 * @param {TaskSummary} task
 * @param {Me} me
 * @returns {Section}
 */
export function sectionOf(task, me) {
  const { stage } = stageOf(task);
  if (stage === "failed") return "failed";
  if (task.waitsFor || stage === "questions" || stage === "review") {
    return waitsForMe(task, me) ? "needs-me" : "needs-others";
  }
  return stage === "done" ? "completed" : "in-progress";
}

/**
 * Whether a task that waits or has failed waits for this user. Of a task for which the relay names nobody, as where
 * `[needs]` is switched off, it is the creator.
 * @param {TaskSummary} task
 * @param {Me} me
 */
export function waitsForMe({ waitsFor, creator }, me) {
  if (!waitsFor) return creator !== undefined && valuesOf(me, "sub").includes(creator);
  return Object.entries(waitsFor).some(([claim, values]) => {
    const mine = valuesOf(me, claim);
    return values.some((value) => mine.includes(value));
  });
}

/**
 * The values of a claim. A claim may be called `constructor`, which every object has.
 * @param {Me} me
 * @param {string} claim
 */
function valuesOf(me, claim) {
  return Object.hasOwn(me, claim) ? me[claim] : [];
}

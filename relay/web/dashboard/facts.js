// @ts-check
// What a row of the list and the open task both show: badge, references, times.

import { stageOf } from "../view/index.js";
import { outwardLink, setAttribute, setText } from "./dom.js";
import { say } from "./language.js";
import { exactTime } from "./time.js";

/** @import { TaskSummary } from "../client/index.js" */

/**
 * The stage of a task in the language of the page. A status that the mapping does not list is its own label.
 * @param {TaskSummary} task
 */
export function stageLabel(task) {
  const { stage, label, hasOwnLabel } = stageOf(task);
  return hasOwnLabel ? label : say(`stage.${stage}`);
}

/**
 * Shows the stage of a task.
 * @param {HTMLElement} badge
 * @param {TaskSummary} task
 * @returns {boolean} whether the badge changed
 */
export function showBadge(badge, task) {
  const { stage } = stageOf(task);
  const label = stageLabel(task);
  const { dataset } = badge;
  if (dataset.stage === stage && dataset.status === task.status && badge.textContent === label) return false;
  badge.dataset.stage = stage;
  setAttribute(badge, "data-status", task.status);
  setText(badge, label);
  return true;
}

/**
 * Shows the issue and the pull request, as links if the document has their addresses.
 * @param {HTMLElement} refs
 * @param {TaskSummary} task
 * @param {TaskSummary | null} before the summary that is shown now
 */
export function showReferences(refs, { issueUrl, issueNumber, prUrl, prNumber }, before) {
  if (before && issueUrl === before.issueUrl && issueNumber === before.issueNumber
    && prUrl === before.prUrl && prNumber === before.prNumber) return;
  refs.replaceChildren(
    ...reference("issue", say("task.issue"), issueUrl, issueNumber),
    ...reference("pull-request", say("task.pull-request"), prUrl, prNumber),
  );
}

/**
 * @param {string} kind
 * @param {string} name
 * @param {string | undefined} url
 * @param {number | undefined} number
 */
function reference(kind, name, url, number) {
  if (url === undefined && number === undefined) return [];
  const element = outwardLink(url);
  element.className = `ref ref-${kind}`;
  element.title = number === undefined ? name : `${name} ${number}`;
  element.textContent = number === undefined ? name : `#${number}`;
  if (element instanceof HTMLAnchorElement) element.setAttribute("aria-label", element.title);
  return [element];
}

/**
 * Sets the machine-readable time of an element, and its tooltip.
 * @param {HTMLElement} element a `<time>`
 * @param {number | undefined} ms
 */
export function showExactTime(element, ms) {
  setAttribute(element, "datetime", ms === undefined ? undefined : new Date(ms).toISOString());
  setAttribute(element, "title", ms === undefined ? undefined : exactTime(ms));
}

// @ts-check
// The facts of a task that a row and the open task share: badge, references, times.

import { stageOf } from "/view/index.js";
import { outwardLink, setAttribute, setText } from "./dom.js";
import { exactTime } from "./time.js";

/** @import { TaskSummary } from "/client/index.js" */

/**
 * @param {HTMLElement} badge
 * @param {TaskSummary} task
 * @returns {boolean} whether it says something else now
 */
export function showBadge(badge, task) {
  const { stage, label } = stageOf(task);
  if (badge.dataset.stage === stage && badge.dataset.status === task.status && badge.textContent === label) return false;
  badge.dataset.stage = stage;
  setAttribute(badge, "data-status", task.status);
  setText(badge, label);
  return true;
}

/**
 * The issue and the pull request, as links where the document says where they are.
 * @param {HTMLElement} refs
 * @param {TaskSummary} task
 * @param {TaskSummary | null} before what they show now
 */
export function showReferences(refs, { issueUrl, issueNumber, prUrl, prNumber }, before) {
  if (before && issueUrl === before.issueUrl && issueNumber === before.issueNumber
    && prUrl === before.prUrl && prNumber === before.prNumber) return;
  refs.replaceChildren(
    ...reference("issue", "Issue", issueUrl, issueNumber),
    ...reference("pull-request", "Pull request", prUrl, prNumber),
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
 * @param {HTMLElement} element a `<time>`
 * @param {number | undefined} ms
 */
export function showExactTime(element, ms) {
  setAttribute(element, "datetime", ms === undefined ? undefined : new Date(ms).toISOString());
  setAttribute(element, "title", ms === undefined ? undefined : exactTime(ms));
}

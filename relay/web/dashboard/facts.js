// @ts-check
// The facts of a task that a row and the open task share: badge, references, creator, times.

import { find, icon, outwardLink, pulse, setAttribute, setText } from "./dom.js";
import { standing } from "./stages.js";
import { exactTime } from "./time.js";

/** @typedef {import("/client/index.js").TaskSummary} TaskSummary */

/**
 * @param {ParentNode} root
 * @param {TaskSummary} task
 * @param {{isNew: boolean}} how a badge that was not there before does not pulse
 */
export function showBadge(root, task, { isNew }) {
  const badge = find(".badge", root);
  const { stage, label } = standing(task);
  const changed = badge.dataset.stage !== stage || badge.dataset.status !== task.status;
  if (!changed) return;
  badge.dataset.stage = stage;
  setAttribute(badge, "data-status", task.status);
  setAttribute(find("use", badge), "href", `#icon-${stage}`);
  setText(find(".badge-label", badge), label);
  if (!isNew) pulse(badge);
}

/**
 * @param {ParentNode} root
 * @param {TaskSummary} task
 */
export function showCreator(root, { creator }) {
  const element = find(".creator", root);
  setText(element, creator ?? "");
  element.hidden = creator === undefined;
}

/**
 * The issue and the pull request, as links where the document says where they are.
 * @param {ParentNode} root
 * @param {TaskSummary} task
 */
export function showReferences(root, { issueUrl, issueNumber, prUrl, prNumber }) {
  const refs = find(".refs", root);
  const said = JSON.stringify([issueUrl, issueNumber, prUrl, prNumber]);
  if (refs.dataset.said === said) return;
  refs.dataset.said = said;
  refs.replaceChildren(
    ...reference("issue", "Issue", issueUrl, issueNumber),
    ...reference("pull-request", "Pull request", prUrl, prNumber),
  );
}

/**
 * @param {string} iconName
 * @param {string} name
 * @param {string | undefined} url
 * @param {number | undefined} number
 */
function reference(iconName, name, url, number) {
  if (url === undefined && number === undefined) return [];
  const element = outwardLink(url);
  element.className = "ref";
  element.title = number === undefined ? name : `${name} ${number}`;
  element.append(icon(iconName), number === undefined ? name : `#${number}`);
  element.setAttribute("aria-label", element.title);
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

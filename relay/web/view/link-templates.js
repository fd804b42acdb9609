// @ts-check
// Makes addresses out of the link templates of a deployment (PROTOCOL.md section 9). Pure.

/** @import { TaskSummary } from "../client/messages.js" */

const FIELD = /\{([^{}]*)\}/g;
const ENDING = /[?#].*$/s;
const DOTS = /^(?:\.|%2e){1,2}$/i;

/**
 * The address that a template means for a task.
 *
 * The values are percent-encoded, so that they add nothing to the address but a word.
 * @param {string | undefined} template as in `https://tracker.example/tasks/{taskId}`
 * @param {TaskSummary} task
 * @returns {string | undefined} undefined without a template, and where the task has no value for one of its fields
 */
export function filled(template, task) {
  if (template === undefined) return undefined;
  let isWhole = true;
  const address = template.replace(FIELD, (_, name) => {
    const value = valueOf(task, name);
    if (value === "") isWhole = false;
    return encoded(value);
  });
  // A browser would resolve a value of two dots, and so leave the path of the template.
  const leaves = address !== template && address.replace(ENDING, "").split("/").some((part) => DOTS.test(part));
  return isWhole && !leaves ? address : undefined;
}

/**
 * @param {TaskSummary} task
 * @param {string} name
 */
function valueOf(task, name) {
  const value = Object.hasOwn(task, name) ? /** @type {any} */ (task)[name] : undefined;
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/**
 * Percent-encodes a text. Half of a surrogate pair, for which `encodeURIComponent` throws, becomes U+FFFD.
 * @param {string} text
 */
function encoded(text) {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\ufffd"));
}

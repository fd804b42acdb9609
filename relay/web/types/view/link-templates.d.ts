/**
 * The address that a template means for a task.
 *
 * The values are percent-encoded, so that they add nothing to the address but a word.
 * @param {string | undefined} template as in `https://tracker.example/tasks/{taskId}`
 * @param {TaskSummary} task
 * @returns {string | undefined} undefined without a template, and where the task has no value for one of its fields
 */
export function filled(template: string | undefined, task: TaskSummary): string | undefined;
import type { TaskSummary } from "../client/messages.js";

/** @import { TaskSummary } from "../client/messages.js" */
/** @import { LinkTemplates } from "../client/polls.js" */
/**
 * `review`: look at the pull request. `answer`: answer the questions. `retry`: start a failed task again. `failure`: see
 * what failed, which the page shows itself. `task`: open the task where it is looked after, which is not urgent.
 * @typedef {{name: "review" | "answer" | "retry" | "task", address: string} | {name: "failure"}} Action
 */
/**
 * The action that the stage of a task asks for. Null if it asks for none, or no address is known for it.
 * @param {TaskSummary} task
 * @param {LinkTemplates} [links] of the deployment
 * @returns {Action | null} its address is of http(s)
 */
export function actionOf(task: TaskSummary, links?: LinkTemplates): Action | null;
/**
 * `review`: look at the pull request. `answer`: answer the questions. `retry`: start a failed task again. `failure`: see
 * what failed, which the page shows itself. `task`: open the task where it is looked after, which is not urgent.
 */
export type Action = {
    name: "review" | "answer" | "retry" | "task";
    address: string;
} | {
    name: "failure";
};
import type { TaskSummary } from "../client/messages.js";
import type { LinkTemplates } from "../client/polls.js";

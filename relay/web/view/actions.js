// @ts-check
// What a person can do about a task, and where: a page shows it as the one button of the task. Pure.

import { filled } from "./link-templates.js";
import { stageOf } from "./stages.js";
import { webAddress } from "./web-address.js";

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
export function actionOf(task, links = {}) {
  const ownAddress = filled(links.task, task);
  const { stage } = stageOf(task);
  const quiet = leading("task", ownAddress);
  if (stage === "review") return leading("review", task.prUrl) ?? quiet;
  if (stage === "questions") return leading("answer", filled(links.answer, task), task.issueUrl, ownAddress);
  if (stage === "failed") return leading("retry", filled(links.retry, task)) ?? { name: "failure" };
  return quiet;
}

/**
 * @param {"review" | "answer" | "retry" | "task"} name
 * @param {(string | undefined)[]} addresses the first that a page may lead to is taken
 * @returns {Action | null}
 */
function leading(name, ...addresses) {
  const address = addresses.map(webAddress).find((one) => one !== undefined);
  return address === undefined ? null : { name, address };
}

// @ts-check
// What reaches a person who is not looking: the spoken line, the title's count, notifications.

import { stageOf } from "/view/index.js";
import { find, isRemembered, remember, setText } from "./dom.js";
import { addressOf } from "./row.js";

/** @import { ServerMessage, TaskList, TaskSummary } from "/client/index.js" */

const TITLE = "Tasks";
const SPEAK_EVERY_MS = 5_000;
const SPOKEN_MAX = 3; // more than that are told by their number
const NOTIFY = "relay.notify";

const SAID = new Map([
  ["task:created", "was created"],
  ["task:analyzing", "is being analyzed"],
  ["task:clarification_needed", "asks questions"],
  ["task:dispatched", "was dispatched"],
  ["task:pr_opened", "is ready for review"],
  ["task:pr_merged", "was merged"],
  ["task:failed", "failed"],
]);

export class Announcer {
  #list;
  /** @type {Map<string, string>} what to say, by task: of each the newest */
  #unsaid = new Map();
  #spokeAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #speaking;
  /** @type {Set<string>} tasks that needed someone already when the reader looked away */
  #known = new Set();
  /** @type {Set<string>} tasks that came to need someone since */
  #missed = new Set();
  #switch = find("#notify");

  /** @param {() => TaskList} list */
  constructor(list) {
    this.#list = list;
    this.#switch.checked = isRemembered(NOTIFY) && canNotify();
    this.#switch.addEventListener("change", () => this.#switched());
    document.addEventListener("visibilitychange", () => this.#looked());
  }

  /** @param {ServerMessage} message after the list has taken it in */
  take({ type, data }) {
    const said = SAID.get(type);
    if (said) this.#say(said, /** @type {any} */ (data));
    if (!document.hidden) return;
    if (type === "dashboard:task_list_updated" && data.change === "upserted") this.#consider(data);
    if (type === "dashboard:state" && !data.more) this.#list().tasks.forEach((task) => this.#consider(task));
  }

  /**
   * @param {string} said of the task
   * @param {{taskId: string, title?: string}} data
   */
  #say(said, { taskId, title }) {
    this.#unsaid.delete(taskId);
    this.#unsaid.set(taskId, `“${title ?? this.#list().get(taskId)?.title ?? "Untitled"}” ${said}.`);
    this.#speakSoon();
  }

  /** @param {TaskSummary} task as it is now, while nobody looks */
  #consider(task) {
    const { taskId } = task;
    const { section, label } = stageOf(task);
    if (section !== "needs-you") {
      this.#known.delete(taskId);
      this.#missed.delete(taskId);
    } else if (!this.#known.has(taskId) && !this.#missed.has(taskId)) {
      this.#missed.add(taskId);
      if (this.#switch.checked && canNotify()) notify(taskId, task.title ?? "Untitled", label);
    }
    this.#showCount();
  }

  #speakSoon() {
    if (this.#speaking !== undefined) return;
    const waitMs = Math.max(0, this.#spokeAt + SPEAK_EVERY_MS - performance.now());
    this.#speaking = setTimeout(() => this.#speak(), waitMs);
  }

  #speak() {
    this.#speaking = undefined;
    this.#spokeAt = performance.now();
    const lines = [...this.#unsaid.values()];
    this.#unsaid.clear();
    setText(find("#said"), lines.length > SPOKEN_MAX ? `${lines.length} tasks changed.` : lines.join(" "));
  }

  #looked() {
    this.#missed.clear();
    this.#known.clear();
    if (document.hidden) {
      for (const task of this.#list().tasks) if (stageOf(task).section === "needs-you") this.#known.add(task.taskId);
    }
    this.#showCount();
  }

  #showCount() {
    const title = this.#missed.size > 0 ? `(${this.#missed.size}) ${TITLE}` : TITLE;
    if (document.title !== title) document.title = title;
  }

  async #switched() {
    const wanted = this.#switch.checked;
    if (wanted && "Notification" in globalThis && Notification.permission === "default") await Notification.requestPermission();
    this.#switch.checked = wanted && canNotify();
    remember(NOTIFY, this.#switch.checked);
    find(".notify-denied").hidden = !wanted || canNotify();
  }
}

function canNotify() {
  return "Notification" in globalThis && Notification.permission === "granted";
}

/**
 * @param {string} taskId
 * @param {string} title
 * @param {string} label
 */
function notify(taskId, title, label) {
  const notification = new Notification(title, { body: label, tag: taskId, icon: "/dashboard/icon.svg" });
  notification.addEventListener("click", () => {
    window.focus();
    location.hash = addressOf(taskId);
    notification.close();
  });
}

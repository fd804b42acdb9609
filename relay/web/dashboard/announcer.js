// @ts-check
// Reaches a reader who does not look at the page: screen reader messages, the count in the title, notifications.

import { sectionOf, stageOf } from "../view/index.js";
import { find, isRemembered, remember, setText } from "./dom.js";
import { addressOf } from "./row.js";

/** @import { ServerMessage, TaskList, TaskSummary } from "../client/index.js" */
/** @import { Me } from "../view/index.js" */

const TITLE = "Tasks";
const SPEAK_EVERY_MS = 5_000;
const SPOKEN_MAX = 3; // of more changes at once, only the number is announced
const NOTIFY = "relay.notify";

const PHRASES = new Map([
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
  #me;
  /** @type {Map<string, string>} What to announce next: the newest change of each task. */
  #pending = new Map();
  #spokeAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #speaking;
  /** @type {Set<string>} Tasks that needed the reader already when the page was hidden. */
  #known = new Set();
  /** @type {Set<string>} Tasks that began to need the reader since then. */
  #missed = new Set();
  #switch = find("#notify");

  /**
   * @param {() => TaskList} list
   * @param {() => Me} me
   */
  constructor(list, me) {
    this.#list = list;
    this.#me = me;
    this.#switch.checked = isRemembered(NOTIFY) && canNotify();
    this.#switch.addEventListener("change", () => this.#switched());
    document.addEventListener("visibilitychange", () => this.#visibilityChanged());
  }

  /** @param {ServerMessage} message called after the list has applied it */
  take({ type, data }) {
    const phrase = PHRASES.get(type);
    if (phrase) this.#announce(phrase, /** @type {any} */ (data));
    if (!document.hidden) return;
    if (type === "dashboard:task_list_updated" && data.change === "upserted") this.#consider(data);
    if (type === "dashboard:state" && !data.more) this.#list().tasks.forEach((task) => this.#consider(task));
  }

  /**
   * @param {string} phrase what happened to the task
   * @param {{taskId: string, title?: string}} data
   */
  #announce(phrase, { taskId, title }) {
    this.#pending.delete(taskId);
    this.#pending.set(taskId, `“${title ?? this.#list().get(taskId)?.title ?? "Untitled"}” ${phrase}.`);
    this.#speakSoon();
  }

  /** @param {TaskSummary} task as it is now, while the page is hidden */
  #consider(task) {
    const { taskId } = task;
    const { label } = stageOf(task);
    if (!this.#needsMe(task)) {
      this.#known.delete(taskId);
      this.#missed.delete(taskId);
    } else if (!this.#known.has(taskId) && !this.#missed.has(taskId)) {
      this.#missed.add(taskId);
      if (this.#switch.checked && canNotify()) notify(taskId, task.title ?? "Untitled", label);
    }
    this.#showCount();
  }

  /** @param {TaskSummary} task */
  #needsMe(task) {
    return sectionOf(task, this.#me()) === "needs-me";
  }

  #speakSoon() {
    if (this.#speaking !== undefined) return;
    const waitMs = Math.max(0, this.#spokeAt + SPEAK_EVERY_MS - performance.now());
    this.#speaking = setTimeout(() => this.#speak(), waitMs);
  }

  #speak() {
    this.#speaking = undefined;
    this.#spokeAt = performance.now();
    const lines = [...this.#pending.values()];
    this.#pending.clear();
    setText(find("#said"), lines.length > SPOKEN_MAX ? `${lines.length} tasks changed.` : lines.join(" "));
  }

  #visibilityChanged() {
    this.#missed.clear();
    this.#known.clear();
    if (document.hidden) {
      for (const task of this.#list().tasks) if (this.#needsMe(task)) this.#known.add(task.taskId);
    }
    this.#showCount();
  }

  #showCount() {
    const title = this.#missed.size > 0 ? `(${this.#missed.size}) ${TITLE}` : TITLE;
    if (document.title !== title) document.title = title;
  }

  async #switched() {
    const wanted = this.#switch.checked;
    const mayAsk = "Notification" in globalThis && Notification.permission === "default";
    if (wanted && mayAsk) await Notification.requestPermission();
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
  const notification = new Notification(title, { body: label, tag: taskId, icon: "dashboard/icon.svg" });
  notification.addEventListener("click", () => {
    window.focus();
    location.hash = addressOf(taskId);
    notification.close();
  });
}

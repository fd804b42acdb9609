// @ts-check
// What came to need the reader, or failed for them, while they looked at no tab of the page: counted in the title and
// on the app's icon, and notified if the reader has switched that on.

import { sectionOf, stageOf, waitsForMe } from "../view/index.js";
import { find } from "./dom.js";
import { say } from "./language.js";
import { memory } from "./memory.js";
import { askToNotify, canNotify, notify, onNotificationClick, withdraw } from "./notifications.js";
import { addressOf } from "./row.js";
import { Tabs } from "./tabs.js";

/** @import { ServerMessage, TaskList, TaskSummary } from "../client/index.js" */
/** @import { Me } from "../view/index.js" */

const NOTIFY = "notify"; // in the memory
const NOTIFIED_MAX = 3; // of more tasks at once, as after a sleep, only the number is notified
const MANY = "relay.many"; // the tag of that notification
const BODY_CHARACTERS = 200;

export class Attention {
  #list;
  #me;
  /** @type {Map<string, string>} What each task that needs the reader asks of them now, as a stage. */
  #asking = new Map();
  /** @type {Set<string>} Tasks that came to need the reader since they last looked. */
  #missed = new Set();
  /** @type {Set<string>} Tasks with a notification. */
  #notified = new Set();
  #hasList = false; // before that, nothing is news
  #tabs = new Tabs(() => this.#looked());
  #switch = find("#notify");

  /**
   * @param {() => TaskList} list
   * @param {() => Me} me
   */
  constructor(list, me) {
    this.#list = list;
    this.#me = me;
    this.#switch.addEventListener("change", () => this.#switched());
    memory.onChange(NOTIFY, () => this.#showSwitch());
    onNotificationClick((hash) => (location.hash = hash));
    this.#showSwitch();
  }

  /** Forgets the tasks of this user, before the list of the next one. */
  clear() {
    this.#asking.clear();
    this.#hasList = false;
    this.#looked();
  }

  /**
   * @param {ServerMessage} message called after the list has applied it
   * @param {string} sub the user
   */
  take({ type, data }, sub) {
    this.#tabs.open(sub);
    if (type === "dashboard:state" && !data.more) {
      this.#takeAll(this.#list().tasks);
    } else if (type === "dashboard:task_list_updated" && this.#hasList) {
      if (data.change === "upserted") this.#tell(this.#changed([data]));
      else this.#forget(data.taskId);
    } else if (type === "task:updated" && this.#hasList) {
      this.#tell(this.#changed([data.task])); // the update of the list may come later, when the reader has gone
    }
  }

  /** @param {readonly TaskSummary[]} tasks the whole list */
  #takeAll(tasks) {
    const ids = new Set(tasks.map(({ taskId }) => taskId));
    for (const taskId of [...this.#asking.keys()]) if (!ids.has(taskId)) this.#forget(taskId);
    const changed = this.#changed(tasks);
    if (this.#hasList) this.#tell(changed);
    this.#hasList = true;
  }

  /**
   * Takes note of what tasks ask, and returns those that ask something that they did not ask before.
   * @param {readonly TaskSummary[]} tasks
   */
  #changed(tasks) {
    return tasks.filter((task) => {
      const asks = asksOf(task, this.#me());
      if (asks === this.#asking.get(task.taskId)) return false;
      if (asks === undefined) this.#forget(task.taskId);
      else this.#asking.set(task.taskId, asks);
      return asks !== undefined;
    });
  }

  /** @param {string} taskId of a task that needs the reader no more */
  #forget(taskId) {
    this.#asking.delete(taskId);
    this.#withdraw(taskId);
    if (this.#missed.delete(taskId)) this.#showCount();
  }

  /** @param {TaskSummary[]} tasks that came to need the reader */
  async #tell(tasks) {
    if (!document.hidden || tasks.length === 0) return;
    for (const { taskId } of tasks) this.#missed.add(taskId);
    this.#showCount();
    if (!this.#switch.checked || !canNotify() || !this.#tabs.isSpeaker || (await this.#tabs.isLookedAt())) return;
    try {
      if (tasks.length > NOTIFIED_MAX) await this.#notifyMany(tasks.length);
      else for (const task of tasks) await this.#notify(task);
    } catch {
      // The browser shows no notifications after all. The title and the list have the task.
    }
  }

  /** @param {TaskSummary} task */
  async #notify(task) {
    this.#notified.add(task.taskId);
    await notify(task.taskId, task.title ?? say("notify.untitled"), bodyOf(task), addressOf(task.taskId));
  }

  /** @param {number} count */
  async #notifyMany(count) {
    this.#notified.add(MANY);
    await notify(MANY, say("title"), say("notify.many", { count }), "#/");
  }

  /** @param {string} tag */
  #withdraw(tag) {
    if (this.#notified.delete(tag)) withdraw(tag).catch(() => {});
  }

  #looked() {
    this.#missed.clear();
    for (const tag of this.#notified) this.#withdraw(tag);
    this.#showCount();
  }

  #showCount() {
    const count = this.#missed.size;
    const title = count > 0 ? `(${count}) ${say("title")}` : say("title");
    if (document.title !== title) document.title = title;
    if (!("setAppBadge" in navigator)) return;
    const badge = count === 0 ? navigator.clearAppBadge() : this.#tabs.isSpeaker && navigator.setAppBadge(count);
    if (badge) badge.catch(() => {}); // not where the page is framed
  }

  #showSwitch() {
    this.#switch.checked = memory.get(NOTIFY) === true && canNotify();
  }

  async #switched() {
    const wanted = this.#switch.checked;
    const can = wanted && (await askToNotify());
    memory.set(NOTIFY, can || undefined);
    this.#showSwitch();
    find(".notify-denied").hidden = !wanted || can;
  }
}

/**
 * What a task asks of the reader, as a stage; undefined if nothing.
 * @param {TaskSummary} task
 * @param {Me} me
 */
function asksOf(task, me) {
  const section = sectionOf(task, me);
  const asks = section === "needs-me" || (section === "failed" && waitsForMe(task, me));
  return asks ? stageOf(task).stage : undefined;
}

/**
 * What is asked, in a sentence.
 * @param {TaskSummary} task
 */
function bodyOf(task) {
  const { stage } = stageOf(task);
  if (stage === "failed") return task.error ? cut(task.error) : say("notify.failed");
  const [question] = task.questions ?? [];
  if (stage === "questions" && question) return cut(question);
  if (stage === "questions") return say("notify.questions");
  if (stage === "review" && task.prNumber) return say("notify.review-of", { number: `#${task.prNumber}` });
  return stage === "review" ? say("notify.review") : say("notify.waits");
}

/** @param {string} text */
function cut(text) {
  return text.length > BODY_CHARACTERS ? `${text.slice(0, BODY_CHARACTERS)}…` : text;
}

// @ts-check
// What came to need the reader, or failed for them, while they looked at no tab of the page: counted in the title and
// on the app's icon, and notified if the reader has switched that on.

import { failureIn, sectionOf, stageOf, visible, waitsForMe } from "../view/index.js";
import { find } from "./dom.js";
import { say } from "./language.js";
import { memory } from "./memory.js";
import { askToNotify, canNotify, notify, onNotificationClick, withdraw, withdrawFor } from "./notifications.js";
import { pagePath } from "./page-path.js";
import { addressOf } from "./row.js";
import { Tabs } from "./tabs.js";

/** @import { ServerMessage, TaskList, TaskSummary } from "../client/index.js" */
/** @import { Me } from "../view/index.js" */

const NOTIFY = "notify"; // in the memory
const NOTIFIED_MAX = 3; // of more tasks at once, as after a sleep, only the number is notified
const MANY = ""; // in place of a task, for that notification
const BODY_CHARACTERS = 200;

export class Attention {
  #list;
  #me;
  /** @type {Map<string, string>} What each task that needs the reader asks of them now, as a stage. */
  #asking = new Map();
  /** @type {Set<string>} Tasks that came to need the reader since they last looked. */
  #missed = new Set();
  /** @type {Set<string>} Tasks with a notification, or MANY. */
  #notified = new Set();
  /** The user; "" for nobody. */
  #sub = "";
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
    onNotificationClick({ open: (hash) => (location.hash = hash), isOf: (sub) => sub === this.#sub });
    this.#showSwitch();
  }

  /** Forgets the tasks of this user, before the list of the next one. */
  clear() {
    this.#asking.clear();
    this.#hasList = false;
    this.#looked();
    this.#sub = "";
    this.rest();
  }

  /** The page has no connection and waits for somebody: another tab of the user speaks for all. */
  rest() {
    this.#tabs.open("");
  }

  /**
   * @param {ServerMessage} message called after the list has applied it
   * @param {string} sub the user
   */
  take({ type, data }, sub) {
    this.#tabs.open(sub);
    if (sub !== this.#sub) this.#begin(sub);
    if (type === "dashboard:state" && !data.more) {
      this.#takeAll(this.#list().tasks);
    } else if (type === "dashboard:task_list_updated" && this.#hasList) {
      if (data.change === "upserted") this.#tell(this.#changed([data]));
      else this.#forget(data.taskId);
    } else if (type === "task:updated" && this.#hasList) {
      this.#tell(this.#changed([data.task])); // the update of the list may come later, when the reader has gone
    }
  }

  /** @param {string} sub the user of whom the first message came */
  #begin(sub) {
    this.#sub = sub;
    this.#takeBack(async (other) => (other === sub ? !document.hidden : !(await this.#tabs.has(other))));
  }

  /**
   * Takes back notifications of earlier pages: of the user who looks at this one, and of users who have left.
   * @param {(sub: string) => boolean | Promise<boolean>} isGone
   */
  #takeBack(isGone) {
    if (canNotify()) withdrawFor(isGone).catch(() => {}); // there are no service workers here
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
    // Meanwhile the reader may have looked, or another user may have come.
    const missed = tasks.filter(({ taskId }) => this.#missed.has(taskId));
    if (missed.length > NOTIFIED_MAX) await this.#notify(MANY, say("title"), say("notify.many", { count: missed.length }), "#/");
    else for (const task of missed) await this.#notify(task.taskId, visible(task.title) ?? say("notify.untitled"), bodyOf(task), addressOf(task.taskId));
  }

  /**
   * @param {string} of a task, or MANY
   * @param {string} title
   * @param {string} body
   * @param {string} hash
   */
  async #notify(of, title, body, hash) {
    const sub = this.#sub;
    const tag = tagOf(of, sub);
    this.#notified.add(of);
    try {
      await notify(tag, title, body, { sub, hash });
      if (sub !== this.#sub || !this.#notified.has(of)) await withdraw(tag); // the service worker took its time
    } catch {
      // The browser shows no notifications after all. The title and the list have the task.
    }
  }

  /** @param {string} of a task, or MANY */
  #withdraw(of) {
    if (this.#notified.delete(of)) withdraw(tagOf(of, this.#sub)).catch(() => {});
  }

  #looked() {
    this.#missed.clear();
    for (const each of this.#notified) this.#withdraw(each);
    if (this.#sub !== "" && !document.hidden) this.#takeBack((sub) => sub === this.#sub);
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
 * The tag of a notification. All relays and users of an origin share its tags.
 * @param {string} of a task, or MANY
 * @param {string} sub the user
 */
function tagOf(of, sub) {
  return `${pagePath} ${sub} ${of}`;
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
  if (stage === "failed") return task.error ? cut(failureIn(task.error) || task.error) : say("notify.failed");
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

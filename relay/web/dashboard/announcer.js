// @ts-check
// Says to users of screen readers what happens to tasks.

import { visible } from "../view/index.js";
import { canSay, say } from "./language.js";
import { find, setText } from "./dom.js";

/** @import { ServerMessage, TaskList } from "../client/index.js" */

const SPEAK_EVERY_MS = 5_000;
const SPOKEN_MAX = 3; // of more changes at once, only the number is announced
const TASK = "task:";

export class Announcer {
  #list;
  /** @type {Map<string, string>} What to announce next: the newest change of each task. */
  #pending = new Map();
  /** @type {Set<string>} The tasks of what was announced last. */
  #spoken = new Set();
  #spokeAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #speaking;

  /** @param {() => TaskList} list */
  constructor(list) {
    this.#list = list;
  }

  /** @param {ServerMessage} message called after the list has applied it */
  take({ type, data }) {
    if (type === "dashboard:task_list_updated" && data.change !== "upserted") return this.#forget(data.taskId);
    if (!type.startsWith(TASK) || !canSay(`said.${type.slice(TASK.length)}`)) return;
    const { taskId, title } = /** @type {{taskId: string, title?: string}} */ (data);
    const shown = visible(title ?? this.#list().get(taskId)?.title) ?? say("notify.untitled");
    this.#pending.delete(taskId);
    this.#pending.set(taskId, say(`said.${type.slice(TASK.length)}`, { title: shown }));
    this.#speakSoon();
  }

  /** Removes what was announced, and what was to be announced, to the user before. */
  clear() {
    clearTimeout(this.#speaking);
    this.#speaking = undefined;
    this.#pending.clear();
    setText(find("#said"), "");
  }

  /** @param {string} taskId of a task that is gone, or that the reader may not see any more */
  #forget(taskId) {
    this.#pending.delete(taskId);
    if (this.#spoken.has(taskId)) setText(find("#said"), "");
  }

  #speakSoon() {
    if (this.#speaking !== undefined) return;
    const waitMs = Math.max(0, this.#spokeAt + SPEAK_EVERY_MS - performance.now());
    this.#speaking = setTimeout(() => this.#speak(), waitMs);
  }

  #speak() {
    this.#speaking = undefined;
    this.#spokeAt = performance.now();
    this.#spoken = new Set(this.#pending.keys());
    const lines = [...this.#pending.values()];
    this.#pending.clear();
    const spoken = lines.length > SPOKEN_MAX ? say("said-many", { count: lines.length }) : lines.join(" ");
    setText(find("#said"), spoken);
  }
}

// @ts-check
// Since when each task is in its stage and in its section of the list, as far as this browser knows.
//
// The relay sends no such times. A page that is open when a task changes its stage knows it to the moment. For a task
// that a page meets in its stage, the last change of the document stands in: the task has been there since then at the
// latest. What was known once is remembered, so that later changes within the stage, and a reload, do not move it.

import { parseTime } from "../view/index.js";
import { fitting, memory } from "./memory.js";

/** @import { TaskSummary } from "../client/index.js" */
/**
 * How long a task is where it is. Times in ms since the epoch.
 * @typedef {{stage: string, stageAt: number, section: string, sectionAt: number}} Stay
 */
/**
 * How the page met the task as it is now: by a change while it was live, by a change during an interruption, or in its
 * first list.
 * @typedef {"live" | "returning" | "first"} Met
 */

const NAME = "stays";
const REMEMBERED_MAX = 2_000;
const SAVE_MS = 3_000;
const OBJECT_ID = /^[0-9a-f]{24}$/;

export class Stays {
  /** @type {Map<string, Stay>} By task. */
  #stays = new Map();
  /** @type {Map<string, Stay> | null} What an earlier page has remembered; null until it was read. */
  #earlier = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #saving;

  constructor() {
    addEventListener("pagehide", () => this.#saveNow());
  }

  /**
   * The stay of a task that is there now.
   * @param {TaskSummary} task
   * @param {string} stage
   * @param {string} section
   * @param {Met} met
   * @param {number} now the same for all tasks that changed at once, so that they keep their order
   * @returns {Stay}
   */
  take(task, stage, section, met, now = Date.now()) {
    this.#earlier ??= remembered();
    const { taskId } = task;
    const held = this.#stays.get(taskId) ?? this.#earlier.get(taskId);
    const at = held ? changedAt(task, held, met, now) : enteredAt(task, met, now);
    const stay = {
      stage,
      stageAt: held?.stage === stage ? held.stageAt : at,
      section,
      sectionAt: held?.section === section ? held.sectionAt : at,
    };
    this.#stays.set(taskId, stay);
    this.#saving ??= setTimeout(() => this.#saveNow(), SAVE_MS);
    return stay;
  }

  /** @param {string} taskId of a task that is gone */
  drop(taskId) {
    this.#stays.delete(taskId);
    this.#earlier?.delete(taskId);
  }

  /** Saves what there is of this user, and is empty afterwards, for the next user. */
  clear() {
    this.#saveNow();
    this.#stays.clear();
    this.#earlier = null;
  }

  #saveNow() {
    clearTimeout(this.#saving);
    if (this.#saving === undefined) return;
    this.#saving = undefined;
    const newest = [...this.#stays].sort(([, a], [, b]) => b.stageAt - a.stageAt);
    memory.set(NAME, fitting(newest.map(([taskId, { stage, stageAt, section, sectionAt }]) => {
      return [taskId, stage, stageAt, section, sectionAt];
    }), REMEMBERED_MAX));
  }
}

/**
 * When a task was created, in ms since the epoch: an ObjectId begins with that second. Undefined if nothing says it.
 * @param {TaskSummary} task
 */
export function bornAt({ taskId, createdAt }) {
  return OBJECT_ID.test(taskId) ? parseInt(taskId.slice(0, 8), 16) * 1000 : parseTime(createdAt);
}

/**
 * When a task entered its stage of which nothing is remembered.
 * @param {TaskSummary} task
 * @param {Met} met
 * @param {number} now
 */
function enteredAt(task, met, now) {
  if (met === "live") return now; // the clock of a writer may be wrong
  return Math.min(now, parseTime(task.updatedAt) ?? parseTime(task.createdAt) ?? bornAt(task) ?? now);
}

/**
 * When a task last changed its stage or section.
 * @param {TaskSummary} task
 * @param {Stay} held
 * @param {Met} met
 * @param {number} now
 */
function changedAt(task, held, met, now) {
  const updatedAt = parseTime(task.updatedAt) ?? now;
  return met === "live" || updatedAt > now || updatedAt <= held.stageAt ? now : updatedAt;
}

/** @returns {Map<string, Stay>} */
function remembered() {
  const entries = memory.get(NAME);
  /** @type {Map<string, Stay>} */
  const stays = new Map();
  for (const entry of Array.isArray(entries) ? entries : []) {
    if (!Array.isArray(entry)) continue;
    const [taskId, stage, stageAt, section, sectionAt] = entry;
    if (Number.isFinite(stageAt) && Number.isFinite(sectionAt)) {
      stays.set(taskId, { stage, stageAt, section, sectionAt });
    }
  }
  return stays;
}

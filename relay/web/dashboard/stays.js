// @ts-check
// Since when each task is in its stage and in its section of the list, as far as this browser knows.
//
// The relay sends no such times. A page that is open when a task changes its stage knows it to the moment. For a task
// that a page meets in its stage, the last change of the document stands in: the task has been there since then at the
// latest. Once the task is open, its events say it exactly. What was known once is remembered, so that later changes
// within the stage, and a reload, do not move it.
//
// The row of a task, its head and the order of the list all show this one time.

import { enteredAt, enteredByEvents, parseTime, stageOf } from "../view/index.js";
import { fitting, isPast, memory } from "./memory.js";

/** @import { Event, TaskSummary } from "../client/index.js" */
/**
 * How long a task is where it is. Times in ms since the epoch. `isStageKnown` and `isSectionKnown`: whether that time is
 * more than a guess from the last change of the document.
 * @typedef {object} Stay
 * @property {string} stage
 * @property {number} stageAt
 * @property {boolean} isStageKnown
 * @property {string} section
 * @property {number} sectionAt
 * @property {boolean} isSectionKnown
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
  /** @type {(taskId: string) => void} */
  #learned = () => {};

  constructor() {
    addEventListener("pagehide", () => this.#saveNow());
  }

  /** @param {(taskId: string) => void} listener called when the events of a task have corrected its stay */
  onLearned(listener) {
    this.#learned = listener;
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
    const at = held ? changedAt(task, held, met, now) : metAt(task, met, now);
    const isSeen = met === "live";
    const ofStage = held?.stage === stage
      ? { stageAt: held.stageAt, isStageKnown: held.isStageKnown }
      : { stageAt: at, isStageKnown: isSeen && held !== undefined }; // one that only became visible may be old
    const ofSection = held?.section === section
      ? { sectionAt: held.sectionAt, isSectionKnown: held.isSectionKnown }
      : { sectionAt: at, isSectionKnown: isSeen };
    return this.#set(taskId, { stage, ...ofStage, section, ...ofSection });
  }

  /**
   * When an open task came into its stage, in ms since the epoch. What its events say replaces a guess, for its row too.
   * @param {TaskSummary} task
   * @param {readonly (Event | null)[]} events
   * @param {number} [now]
   * @returns {number | undefined}
   */
  enteredAt(task, events, now = Date.now()) {
    const stay = this.#stays.get(task.taskId);
    if (stay?.stage !== stageOf(task).stage) return enteredAt(task, events); // not in the list, or not yet as it is now
    const said = stay.isStageKnown ? undefined : enteredByEvents(task, events);
    if (said === undefined) return stay.stageAt;
    const stageAt = Math.min(now, said);
    const isOneStep = !stay.isSectionKnown && stay.sectionAt === stay.stageAt;
    const ofSection = isOneStep ? { sectionAt: stageAt, isSectionKnown: true } : {};
    this.#set(task.taskId, { ...stay, stageAt, isStageKnown: true, ...ofSection });
    this.#learned(task.taskId);
    return stageAt;
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

  /**
   * @param {string} taskId
   * @param {Stay} stay
   */
  #set(taskId, stay) {
    this.#stays.set(taskId, stay);
    this.#saving ??= setTimeout(() => this.#saveNow(), SAVE_MS);
    return stay;
  }

  #saveNow() {
    clearTimeout(this.#saving);
    if (this.#saving === undefined) return;
    this.#saving = undefined;
    const newest = [...this.#stays].sort(([, a], [, b]) => b.stageAt - a.stageAt);
    memory.set(NAME, fitting(newest.map(([taskId, stay]) => {
      const { stage, stageAt, section, sectionAt } = stay;
      return [taskId, stage, stageAt, section, sectionAt, Number(stay.isStageKnown), Number(stay.isSectionKnown)];
    }), REMEMBERED_MAX));
  }
}

/** The stays of this page. */
export const stays = new Stays();

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
function metAt(task, met, now) {
  if (met === "live") return now; // the clock of a writer may be wrong
  return Math.min(now, enteredAt(task, []) ?? bornAt(task) ?? now);
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
    const [taskId, stage, stageAt, section, sectionAt, isStageKnown, isSectionKnown] = entry;
    if (!isPast(stageAt) || !isPast(sectionAt)) continue;
    const known = { isStageKnown: isStageKnown === 1, isSectionKnown: isSectionKnown === 1 };
    stays.set(taskId, { stage, stageAt, section, sectionAt, ...known });
  }
  return stays;
}

// @ts-check
// The tasks of a fake relay, and the messages that each change of them causes. Pure.
//
// The messages and their order are those of PROTOCOL.md section 5. One suite of scenarios runs against this relay and
// against a real one.

import { LIFECYCLE_FIELDS, WAITING, stageOfEvent, stageOfStatus } from "./stages.js";

/** @typedef {import("../client/messages.js").AnyEvents} AnyEvents */
/** @typedef {import("../client/messages.js").Event} Event */
/** @typedef {import("../client/messages.js").TaskSummary} TaskSummary */
/** @typedef {import("./stages.js").Stage} Stage */

/**
 * What a test may set of a task: its summary, as lists show it. `stage` follows from `status`, and `waitsFor` names the
 * creator where a task waits, unless the test says otherwise. A field that is undefined is absent.
 * @typedef {{[K in Exclude<keyof TaskSummary, "taskId" | "eventCount">]?: TaskSummary[K] | Date | undefined}} TaskFields
 */

/**
 * An event as a writer pushes it into the array of a task: `{type: "note", text: "Hello"}`. `at` is its time.
 * @template [E=AnyEvents]
 * @typedef {string extends keyof E
 *   ? {type: string, at?: string | Date, [field: string]: unknown}
 *   : {[K in keyof E & string]: {type: K, at?: string | Date} & E[K]}[keyof E & string]} WrittenEvent
 */

/**
 * @template [E=AnyEvents]
 * @typedef {TaskFields & {taskId: string, events?: readonly WrittenEvent<E>[] | undefined}} GivenTask
 */

/** A message of a change. `list`: for those who joined the list. `room`: for those who joined the task. */
/** @typedef {{type: string, data: any, list: boolean, room: boolean}} Told */

/** @typedef {{fields: TaskFields, events: Event[], last: Stage | undefined, isVisible: boolean, life: number}} Stored */

const FIELDS = new Set([
  "title", "creator", "status", "stage", "createdAt", "updatedAt", "issueUrl", "issueNumber", "prUrl", "prNumber",
  "mergeCommitSha", "error", "questions", "waitsFor",
]);
const VOLATILE = { eventCount: 0, updatedAt: undefined }; // a change of these alone causes no task:updated
const PAYLOADS = ["data", "payload", "metadata", "details"]; // where an event may hold the data of a message, too

export class Tasks {
  /** @type {Map<string, Stored>} */
  #all = new Map();
  #lives = 0;

  /** The summaries of all visible tasks, newest first as a list has them. */
  get summaries() {
    const visible = [...this.#all].filter(([, { isVisible }]) => isVisible);
    return visible.map(([taskId, task]) => summaryOf(taskId, task)).reverse();
  }

  /** @param {string} taskId */
  isVisible(taskId) {
    return this.#all.get(taskId)?.isVisible ?? false;
  }

  /**
   * The state of a visible task, from a position on.
   * @param {string} taskId
   * @param {{since?: number | null, head?: string | null}} position
   * @returns {import("../client/messages.js").TaskState}
   */
  state(taskId, { since, head }) {
    const task = this.#known(taskId);
    const resumes = typeof since === "number" && since <= task.events.length && head === headOf(task, since);
    const from = resumes ? since : 0;
    const next = task.events.length;
    const events = task.events.slice(from);
    const summary = summaryOf(taskId, task);
    return { taskId, task: summary, events, from, next, head: headOf(task, next), reset: !resumes, more: false };
  }

  /**
   * Adds a task. Throws if there is one with this id.
   * @param {GivenTask} given
   * @returns {Told[]}
   */
  add({ taskId, events = [], ...fields }) {
    if (typeof taskId !== "string" || taskId === "") throw new TypeError("A task needs a `taskId`, a string.");
    if (this.#all.has(taskId)) throw new Error(`There is a task ${quoted(taskId)} already.`);
    const written = events.map((event) => eventOf(event));
    const last = written.map(({ type }) => stageOfEvent(String(type))).filter((stage) => stage !== undefined).at(-1);
    this.#lives += 1;
    const task = { fields: {}, events: written, last, isVisible: true, life: this.#lives };
    assign(task, fields);
    this.#all.set(taskId, task);
    const summary = summaryOf(taskId, task);
    const told = [lifecycle("task:created", taskId, summary, ["title", "creator", "status", "createdAt"])];
    const stage = stageOf(task);
    if (stage !== undefined) told.push(staged(stage, taskId, summary));
    return [...told, listed(summary)];
  }

  /**
   * Appends events and sets fields, in one change.
   * @param {string} taskId
   * @param {readonly WrittenEvent[]} events
   * @param {TaskFields} fields
   * @returns {Told[]}
   */
  change(taskId, events, fields) {
    const task = this.#known(taskId);
    const written = events.map((event) => eventOf(event));
    const before = summaryOf(taskId, task);
    const stageBefore = stageOf(task);
    assign(task, fields);
    task.events.push(...written);
    const summary = summaryOf(taskId, task);
    /** @type {Told[]} */
    const told = [];
    for (const [offset, event] of written.entries()) {
      const index = task.events.length - written.length + offset;
      const position = { next: index + 1, head: headOf(task, index + 1) };
      told.push({ type: "task:event_added", data: { taskId, index, event, ...position }, list: false, room: true });
      const stage = stageOfEvent(String(event.type));
      if (stage === undefined) continue;
      // Otherwise the status before has sent the message already.
      if (stage !== stageBefore || stage === task.last) told.push(staged(stage, taskId, summary, event.data));
      task.last = stage;
    }
    const stage = stageOf(task);
    if (stage !== undefined && stage !== stageBefore && stage !== task.last) told.push(staged(stage, taskId, summary));
    if (!isSame({ ...before, ...VOLATILE }, { ...summary, ...VOLATILE })) {
      told.push({ type: "task:updated", data: { taskId, task: summary }, list: false, room: true });
    }
    if (!isSame(before, summary)) told.push(listed(summary));
    return task.isVisible ? told : [];
  }

  /**
   * Deletes a task.
   * @param {string} taskId
   * @returns {Told[]}
   */
  remove(taskId) {
    const { isVisible } = this.#known(taskId);
    this.#all.delete(taskId);
    return isVisible ? gone(taskId, "deleted") : [];
  }

  /**
   * Hides a task from the user, or shows it again.
   * @param {string} taskId
   * @param {boolean} isVisible
   * @returns {Told[]}
   */
  show(taskId, isVisible) {
    const task = this.#known(taskId);
    if (task.isVisible === isVisible) return [];
    task.isVisible = isVisible;
    return isVisible ? [listed(summaryOf(taskId, task))] : gone(taskId, "revoked");
  }

  /** @param {string} taskId */
  #known(taskId) {
    const task = this.#all.get(taskId);
    if (task !== undefined) return task;
    const ids = [...this.#all.keys()].map(quoted).join(", ") || "none";
    throw new Error(`There is no task ${quoted(taskId)}. The tasks are: ${ids}.`);
  }
}

/**
 * @param {Stored} task
 * @param {TaskFields} fields
 */
function assign(task, fields) {
  for (const [name, value] of Object.entries(fields)) {
    if (!FIELDS.has(name)) throw new TypeError(`A task has no field ${quoted(name)}. It has ${[...FIELDS].join(", ")}.`);
    if (value === null) throw new TypeError(`The field ${quoted(name)} is null. An absent field is undefined.`);
  }
  task.fields = plain({ ...task.fields, ...fields });
}

/** @param {Stored} task */
function stageOf({ fields: { stage, status } }) {
  return /** @type {Stage | undefined} */ (stage) ?? stageOfStatus(/** @type {string | undefined} */ (status));
}

/**
 * @param {string} taskId
 * @param {Stored} task
 * @returns {TaskSummary}
 */
function summaryOf(taskId, task) {
  const stage = stageOf(task);
  const { creator } = task.fields;
  const waitsFor = stage !== undefined && WAITING.has(stage) ? { waitsFor: creator ? { sub: [creator] } : {} } : {};
  return plain({ ...waitsFor, taskId, eventCount: task.events.length, ...task.fields, stage });
}

/**
 * @param {unknown} given
 * @returns {Event}
 */
function eventOf(given) {
  const { type, at = null } = /** @type {any} */ (given ?? {});
  if (typeof type !== "string" || type === "") {
    throw new TypeError('An event needs a `type`, a string, as in {type: "note", text: "Hello"}.');
  }
  return plain({ type, at, data: given });
}

/**
 * Identifies the first events of a task. A task that was deleted and added again is another one.
 * @param {Stored} task
 * @param {number} next
 */
function headOf({ life }, next) {
  return `fake.${life}.${next}`;
}

/**
 * @param {Stage} stage
 * @param {string} taskId
 * @param {TaskSummary} summary
 * @param {any} [event]
 */
function staged(stage, taskId, summary, event = {}) {
  const sources = [event, ...PAYLOADS.map((name) => event[name])];
  const found = LIFECYCLE_FIELDS[stage].map((name) => [name, sources.find((source) => source?.[name] != null)?.[name]]);
  const data = { ...summary, ...Object.fromEntries(found.filter(([, value]) => value !== undefined)) };
  return lifecycle(`task:${stage}`, taskId, data, ["status", ...LIFECYCLE_FIELDS[stage]]);
}

/**
 * @param {string} type
 * @param {string} taskId
 * @param {any} from
 * @param {readonly string[]} names
 * @returns {Told}
 */
function lifecycle(type, taskId, from, names) {
  const data = plain({ taskId, ...Object.fromEntries(names.map((name) => [name, from[name]])) });
  return { type, data, list: true, room: true };
}

/**
 * @param {TaskSummary} summary
 * @returns {Told}
 */
function listed(summary) {
  return { type: "dashboard:task_list_updated", data: { change: "upserted", ...summary }, list: true, room: false };
}

/**
 * @param {string} taskId
 * @param {"deleted" | "revoked"} change
 * @returns {Told[]}
 */
function gone(taskId, change) {
  return [
    { type: `task:${change}`, data: { taskId }, list: false, room: true },
    { type: "dashboard:task_list_updated", data: { change, taskId }, list: true, room: false },
  ];
}

/**
 * A copy as it is on the wire: without what is undefined, and with strings for dates.
 * @param {any} value
 */
function plain(value) {
  return JSON.parse(JSON.stringify(value));
}

/**
 * @param {object} one
 * @param {object} other
 */
function isSame(one, other) {
  const sorted = (/** @type {object} */ value) => JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  return sorted(one) === sorted(other);
}

/** @param {unknown} value */
function quoted(value) {
  return JSON.stringify(value) ?? String(value);
}

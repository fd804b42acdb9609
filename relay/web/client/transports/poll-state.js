// @ts-check
// What a polling client has joined and received, and how an answer becomes messages (PROTOCOL.md section 8). Pure.

import { batches, halve, sizeOfJson } from "../batches.js";
import { MAX_BATCH, MAX_MESSAGE_BYTES_DEFAULT } from "../protocol.js";
import { Moments } from "./moments.js";

/** @typedef {import("../messages.js").ServerMessage} ServerMessage */
/** @typedef {import("../polls.js").PollAnswer} PollAnswer */
/** @typedef {import("../polls.js").Poll} PollBody */
/** @typedef {import("../polls.js").PolledTask} PolledTask */

/**
 * One thing that is polled. `request`: the id of the join that its states answer. `proven`: the relay answered a poll
 * with it, so it is not at fault. `share`: see batches.js.
 * @template A
 * @typedef {{request: string, asked: A, proven: boolean, share?: number}} Entry
 */

/** @typedef {Entry<{limit?: number, etag?: string, updates?: boolean}>} ListEntry */
/** @typedef {Entry<PolledTask> & {shown: boolean}} TaskEntry `shown`: the application has some of its content */

/**
 * Why a poll was refused as a whole. `tooLarge`: it had too many bytes.
 * @typedef {{code: import("../messages.js").ErrorCode, message: string, tooLarge: boolean}} Refusal
 */

const GROWTH_BYTES = 320; // that the head and etag of an entry add later

export class PollState {
  /** @type {ListEntry | null} */
  #dashboard = null;
  /** @type {Map<string, TaskEntry>} */
  #tasks = new Map();
  #moments;
  #stale = false;
  #most = MAX_BATCH; // tasks of a poll
  #bytes = MAX_MESSAGE_BYTES_DEFAULT; // of a poll

  /** @param {Moments} [moments] of the answers that were applied */
  constructor(moments = new Moments()) {
    this.#moments = moments;
  }

  /**
   * Applies a request of the client.
   * @param {string} type
   * @param {any} data
   * @param {string} request its id
   * @returns {boolean} whether an answer will follow
   */
  ask(type, data, request) {
    switch (type) {
      case "dashboard:join":
        this.#dashboard = { request, asked: { ...data, updates: true }, proven: false };
        return true;
      case "task:join":
        for (const asked of data.tasks) {
          this.#tasks.set(asked.taskId, { request, asked: { ...asked }, shown: false, proven: false });
        }
        return true;
      case "dashboard:leave":
        this.#dashboard = null;
        return false;
      case "task:leave":
        this.#tasks.delete(data.taskId);
        return false;
      default:
        return false;
    }
  }

  /**
   * Divides entries among as few polls as possible.
   * @param {(ListEntry | TaskEntry)[]} [entries]
   * @returns {(ListEntry | TaskEntry)[][]}
   */
  polls(entries = this.#dashboard ? [this.#dashboard, ...this.#tasks.values()] : [...this.#tasks.values()]) {
    const dashboard = entries.find((entry) => entry === this.#dashboard && entry.share === undefined);
    const polls = batches(entries.filter((entry) => entry !== dashboard), {
      most: this.#most,
      bytes: this.#bytes - GROWTH_BYTES,
      sizeOf: ({ asked }) => sizeOfJson(asked) + GROWTH_BYTES,
    });
    if (!dashboard) return polls;
    if (polls.length > 0 && polls[0][0].share === undefined) polls[0].unshift(dashboard);
    else polls.unshift([dashboard]);
    return polls;
  }

  /**
   * The body of a poll for these entries.
   * @param {readonly (ListEntry | TaskEntry)[]} entries
   * @returns {PollBody}
   */
  body(entries) {
    /** @type {PollBody} */
    const body = {};
    const tasks = entries.flatMap((entry) => (isTask(entry) ? [entry.asked] : []));
    if (tasks.length > 0) body.tasks = tasks;
    if (this.#dashboard && entries.includes(this.#dashboard)) body.dashboard = this.#dashboard.asked;
    if (this.#moments.latest !== undefined) body.moment = this.#moments.latest;
    return body;
  }

  /**
   * The bodies of all polls that are needed at the same time.
   * @returns {PollBody[]}
   */
  bodies() {
    return this.polls().map((entries) => this.body(entries));
  }

  /** @param {readonly (ListEntry | TaskEntry)[]} entries of a poll that was answered */
  prove(entries) {
    for (const entry of entries) {
      entry.proven = true;
      entry.share = undefined;
    }
  }

  /** Whether a poll was refused and the entry at fault is not found yet. */
  get isSearching() {
    return [this.#dashboard, ...this.#tasks.values()].some((entry) => entry?.share !== undefined);
  }

  /**
   * A poll with several entries was refused as a whole.
   * @param {(ListEntry | TaskEntry)[]} entries
   * @param {Refusal} refusal
   * @returns {(ListEntry | TaskEntry)[][]} the polls that replace it: always more, and smaller
   */
  divide(entries, { code, tooLarge }) {
    const tasks = entries.filter(isTask).length;
    if (tasks > 1 && tooLarge) {
      this.#bytes = Math.floor(sizeOfJson(this.body(entries)) / 2);
    } else if (tasks > 1 && code === "too_many_tasks") {
      this.#most = Math.ceil(tasks / 2);
    } else {
      // An entry of a poll that was answered is not at fault: divide only the others.
      const unproven = entries.filter(({ proven }) => !proven);
      if (unproven.length === 0 || unproven.length === entries.length) halve(entries);
      else for (const entry of unproven) entry.share = unproven.length;
    }
    return this.polls(entries);
  }

  /**
   * A poll with this entry alone was refused: it is not polled any more.
   * @param {ListEntry | TaskEntry} entry
   * @param {Refusal} refusal
   * @returns {ServerMessage} the answer to its join
   */
  refuse(entry, { code, message }) {
    const { request: replyTo } = entry;
    if (entry === this.#dashboard) this.#dashboard = null;
    if (!isTask(entry)) return { type: "error", data: { code, message, temporary: false }, replyTo };
    const { taskId } = entry.asked;
    if (this.#tasks.get(taskId) === entry) this.#tasks.delete(taskId);
    return { type: "error", data: { code, message, temporary: false, taskId }, replyTo };
  }

  /**
   * The messages of an answer, as a WebSocket would have sent them. A position advances when its message is taken, so
   * a caller that stops early receives the rest again with the next poll.
   * @param {PollAnswer} answer
   * @returns {Generator<ServerMessage, void, void>}
   */
  *messagesOf(answer) {
    let stale = false;
    for (const message of answer.messages) {
      switch (message.type) {
        case "dashboard:state":
          if (this.#dashboard) yield { ...message, replyTo: this.#dashboard.request };
          break;
        case "dashboard:task_list_updated":
          if (this.#dashboard) yield message;
          break;
        case "auth:expiring":
          yield message;
          break;
        case "task:state": {
          const entry = this.#tasks.get(message.data.taskId);
          if (!entry) break;
          const { taskId, next, head } = message.data;
          entry.asked = { taskId, since: next, head };
          entry.shown = true;
          yield { ...message, replyTo: entry.request };
          break;
        }
        case "error":
          yield* this.#messagesOfError(message);
          break;
        case "stream:status":
          stale = message.data.state === "stale";
          if (stale !== this.#stale) yield message;
          break;
      }
    }
    this.#note(answer);
    if (this.#stale && !stale) yield { type: "stream:status", data: { state: "live", lagMs: 0 } };
    this.#stale = stale;
  }

  /**
   * @param {import("../messages.js").ErrorMessage} message
   * @returns {Generator<ServerMessage, void, void>}
   */
  *#messagesOfError(message) {
    const { code, temporary, taskId } = message.data;
    const entry = taskId === undefined ? undefined : this.#tasks.get(taskId);
    if (!entry || taskId === undefined || temporary) return; // the next poll asks again
    const { request: replyTo, shown } = entry;
    if (code !== "forbidden") {
      this.#tasks.delete(taskId);
      yield { ...message, replyTo };
      return;
    }
    entry.asked = { taskId, forbidden: true };
    entry.shown = false;
    yield shown ? { type: "task:revoked", data: { taskId } } : { ...message, replyTo };
  }

  /**
   * Keeps the etags and the moment of an answer whose messages were all taken.
   * @param {PollAnswer} answer
   */
  #note({ dashboard, tasks = {}, moment }) {
    this.#moments.note(moment);
    if (this.#dashboard && dashboard) this.#dashboard.asked.etag = dashboard.etag;
    for (const [taskId, { etag }] of Object.entries(tasks)) {
      const entry = this.#tasks.get(taskId);
      if (entry) entry.asked.etag = etag;
    }
  }
}

/**
 * @param {ListEntry | TaskEntry} entry
 * @returns {entry is TaskEntry}
 */
function isTask(entry) {
  return "shown" in entry;
}

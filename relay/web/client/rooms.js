// @ts-check
// The wanted subscriptions: which rooms to be in, how far each has come, where messages go.
//
// Rules of this file: what is wanted is the state, and every connection starts by joining all of
// it from its position; while an answer is awaited nothing else of that room is applied, because
// the answer covers it.

import { MAX_BATCH } from "./protocol.js";
import { TaskList } from "./task-list.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */

/**
 * `wanted`: to be asked for. `asked`: the answer to `request` is awaited. `joined`: live.
 * `waiting`: refused for the moment. `gone`: refused, or the task went away.
 * @typedef {"wanted" | "asked" | "joined" | "waiting" | "gone"} Phase
 */

/**
 * @template {TaskList | Timeline} V
 * @typedef {{view: V, joins: number, phase: Phase, request?: string}} Room
 */

const RETRY_MS = 2_000; // after a temporary error that names no time

export class Rooms {
  /** @type {Room<TaskList> & {limit?: number} | null} */
  #dashboard = null;
  /** @type {Map<string, Room<Timeline>>} */
  #tasks = new Map();
  #asking = false;
  #send;
  #host;

  /**
   * @param {(type: string, data: object) => string | undefined} send
   *   gives the id of the request, or undefined while there is no connection
   * @param {import("./host.js").Host} host
   */
  constructor(send, host) {
    this.#send = send;
    this.#host = host;
  }

  /** @param {number} [limit] */
  joinDashboard(limit) {
    this.#dashboard ??= { view: new TaskList(), joins: 0, phase: "wanted", limit };
    this.#dashboard.joins += 1;
    this.#ask();
    return this.#dashboard.view;
  }

  leaveDashboard() {
    if (!this.#dashboard || --this.#dashboard.joins > 0) return;
    this.#dashboard = null;
    this.#send("dashboard:leave", {});
  }

  /** @param {string} taskId */
  joinTask(taskId) {
    const room = this.#tasks.get(taskId) ?? { view: new Timeline(taskId), joins: 0, phase: "wanted" };
    this.#tasks.set(taskId, room);
    room.joins += 1;
    this.#ask();
    return room.view;
  }

  /** @param {string} taskId */
  leaveTask(taskId) {
    const room = this.#tasks.get(taskId);
    if (!room || --room.joins > 0) return;
    this.#tasks.delete(taskId);
    this.#send("task:leave", { taskId });
  }

  /** A new connection knows nothing of us. */
  joinAll() {
    for (const room of this.#all()) room.phase = "wanted";
    this.#ask();
  }

  /** @param {ServerMessage} message */
  receive({ type, data, replyTo }) {
    switch (type) {
      case "dashboard:state":
        if (this.#dashboard && answers(this.#dashboard, replyTo, data.more)) this.#dashboard.view.replace(data);
        break;
      case "dashboard:task_list_updated":
        if (this.#dashboard?.phase === "joined") this.#dashboard.view.update(data);
        if (data.change === "upserted") this.#becameVisible(data.taskId);
        break;
      case "task:state": {
        const room = this.#tasks.get(data.taskId);
        if (room && answers(room, replyTo, data.more) && !room.view.replace(data)) this.#startOver(room);
        break;
      }
      case "task:event_added": {
        const room = this.#joined(data.taskId);
        if (room && !room.view.append(data)) this.#startOver(room);
        break;
      }
      case "task:updated":
        this.#joined(data.taskId)?.view.summarize(data.task);
        break;
      case "task:deleted":
      case "task:revoked": {
        const room = this.#joined(data.taskId);
        if (room) end(room, type === "task:deleted" ? "deleted" : "revoked");
        break;
      }
      case "error":
        if (replyTo !== undefined) this.#failed(replyTo, data);
        break;
    }
  }

  /**
   * @param {string} request
   * @param {import("./protocol.js").ErrorData} error
   */
  #failed(request, { code, temporary, taskId, retryAfterMs }) {
    const failed = this.#all().filter(
      (room) => room.phase === "asked" && room.request === request
        && (taskId === undefined || room === this.#tasks.get(taskId)),
    );
    if (!temporary) {
      for (const room of failed) end(room, code);
      return;
    }
    for (const room of failed) room.phase = "waiting";
    this.#host.setTimeout(() => {
      for (const room of failed) if (room.phase === "waiting") room.phase = "wanted";
      this.#ask();
    }, retryAfterMs ?? RETRY_MS);
  }

  /** @param {string} taskId */
  #becameVisible(taskId) {
    const room = this.#tasks.get(taskId);
    if (room?.phase !== "gone") return;
    room.phase = "wanted";
    this.#ask();
  }

  /** @param {Room<Timeline>} room */
  #startOver(room) {
    room.view.losePosition();
    room.phase = "wanted";
    this.#ask();
  }

  /** @param {string} taskId */
  #joined(taskId) {
    const room = this.#tasks.get(taskId);
    return room?.phase === "joined" ? room : undefined;
  }

  /** @returns {Room<TaskList | Timeline>[]} */
  #all() {
    return this.#dashboard ? [this.#dashboard, ...this.#tasks.values()] : [...this.#tasks.values()];
  }

  /** Joins of one turn leave together, in as few frames as the protocol allows. */
  #ask() {
    if (this.#asking) return;
    this.#asking = true;
    queueMicrotask(() => {
      this.#asking = false;
      const dashboard = this.#dashboard;
      if (dashboard?.phase === "wanted") {
        const { limit } = dashboard;
        this.#sendJoin([dashboard], "dashboard:join", limit === undefined ? {} : { limit });
      }
      const wanted = [...this.#tasks.values()].filter((room) => room.phase === "wanted");
      for (let start = 0; start < wanted.length; start += MAX_BATCH) {
        const batch = wanted.slice(start, start + MAX_BATCH);
        const tasks = batch.map(({ view }) => ({ taskId: view.taskId, ...view.position }));
        this.#sendJoin(batch, "task:join", { tasks });
      }
    });
  }

  /**
   * @param {Room<TaskList | Timeline>[]} rooms
   * @param {string} type
   * @param {object} data
   */
  #sendJoin(rooms, type, data) {
    const request = this.#send(type, data);
    if (request === undefined) return; // joinAll follows when there is a connection
    for (const room of rooms) {
      room.phase = "asked";
      room.request = request;
    }
  }
}

/**
 * Whether a state belongs to the room as it is now; its last page ends the waiting. Over long
 * polling a task that may be seen again comes by itself, as the answer to the join it was asked by.
 * @param {Room<TaskList | Timeline>} room
 * @param {string | undefined} replyTo
 * @param {boolean} more
 */
function answers(room, replyTo, more) {
  if (room.phase === "joined") return true;
  if ((room.phase !== "asked" && room.phase !== "gone") || room.request !== replyTo) return false;
  if (!more) room.phase = "joined";
  return true;
}

/**
 * @param {Room<TaskList | Timeline>} room
 * @param {string} state
 */
function end(room, state) {
  room.phase = "gone";
  room.view.end(state);
}

// @ts-check
// The wanted subscriptions: which rooms to be in, how far each has come, where messages go.
//
// Rules of this file: what is wanted is the state, and every connection starts by joining all of
// it from its position; while an answer is awaited nothing else of that room is applied, because
// the answer covers it, but what may not be seen any more is dropped at once; whatever the relay had no
// time for is sent again when it says so, unless it is not wanted any more; one room that is refused
// costs no other its place.

import { batches, halve, sizeOfJson } from "./batches.js";
import { Pace, costOfList, costOfTasks } from "./pace.js";
import { DASHBOARD_LIMIT_DEFAULT, MAX_BATCH, MAX_MESSAGE_BYTES_DEFAULT } from "./protocol.js";
import { TaskList } from "./task-list.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("./messages.js").ServerMessage} ServerMessage */

/**
 * `wanted`: to be asked for. `asked`: the answer to `request` is awaited. `joined`: live.
 * `gone`: not to be seen, or no longer; asked for again when it may be. `full`: one more than the
 * connection may have; asked for again when another one leaves. `refused`: nothing the relay knows, on no
 * connection; asked for no more.
 * @typedef {"wanted" | "asked" | "joined" | "gone" | "full" | "refused"} Phase
 */

/**
 * `request`: the last one that asked for it on this connection. `notBefore`: in ms since the epoch, a
 * wait after a temporary error. `halfway`: some pages of the answer are here. `seen`: since it was asked
 * for, the list has shown it.
 * @template {TaskList | Timeline} V
 * @typedef {{
 *   view: V, joins: number, phase: Phase, notBefore: number,
 *   request?: string, share?: number, halfway?: boolean, seen?: boolean,
 * }} Room
 */

/** @typedef {Room<TaskList> & {limit?: number}} DashboardRoom */
/** @typedef {Room<Timeline>} TaskRoom */

/**
 * A request to be sent: what it counts as, and what follows when it has been.
 * @typedef {{type: string, data: object, cost: number, sent: (request: string | undefined) => void}} Due
 */

const RETRY_MS = 2_000; // after a temporary error that names no time
const MAX_WAIT_MS = 2 ** 31 - 1; // a longer timer would end at once
const ENVELOPE_BYTES = 128; // of a frame, around the tasks it names
// One bad or surplus element makes the relay refuse all that a request asks for (PROTOCOL.md section 3).
const OF_THE_WHOLE = new Set(["bad_request", "bad_message", "too_many_tasks"]);
const LONE_SURROGATE = /\p{Surrogate}/u;
const UNKNOWN_LIMITS = { maxTasks: Infinity, maxMessageBytes: MAX_MESSAGE_BYTES_DEFAULT };

export class Rooms {
  /** @type {DashboardRoom | null} */
  #dashboard = null;
  /** @type {Map<string, TaskRoom>} */
  #tasks = new Map();
  /**
   * What has been left, a task or the dashboard (null), until the relay has said so; `request` while it is
   * asked to.
   * @type {Map<string | null, {request?: string, notBefore: number}>}
   */
  #leaves = new Map();
  #limits = UNKNOWN_LIMITS;
  #pace = new Pace();
  #asking = false;
  #isClosed = false;
  /** @type {any} */
  #timer;
  #send;
  #host;

  /**
   * @param {(type: string, data: object) => string | undefined} send
   *   gives the id of the request, or undefined where no answer will come: while there is no connection
   * @param {import("./host.js").Host} host
   */
  constructor(send, host) {
    this.#send = send;
    this.#host = host;
  }

  /** @param {number} [limit] */
  joinDashboard(limit) {
    this.#dashboard ??= { view: new TaskList(), joins: 0, phase: "wanted", notBefore: 0, limit };
    this.#dashboard.joins += 1;
    this.#ask();
    return this.#dashboard.view;
  }

  leaveDashboard() {
    const room = this.#dashboard;
    if (!room || --room.joins > 0) return;
    this.#dashboard = null;
    this.#leave(null, room);
  }

  /** @param {string} taskId */
  joinTask(taskId) {
    /** @type {TaskRoom} */
    const room = this.#tasks.get(taskId) ?? { view: new Timeline(taskId), joins: 0, phase: "wanted", notBefore: 0 };
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
    this.#leave(taskId, room);
  }

  /** A new connection knows nothing of us. */
  joinAll() {
    this.#leaves.clear();
    this.#limits = UNKNOWN_LIMITS;
    this.#pace.begin();
    for (const room of this.#all()) {
      room.request = undefined;
      room.halfway = room.seen = false;
      if (room.phase !== "refused") this.#want(room);
    }
    this.#ask();
  }

  /** Nothing is sent from here on. */
  close() {
    this.#host.clearTimeout(this.#timer);
    this.#isClosed = true;
  }

  /** @param {ServerMessage} message */
  receive({ type, data, replyTo }) {
    switch (type) {
      case "welcome":
        this.#learn(data.limits);
        break;
      case "auth:ok":
        this.#lookForHidden(); // with other rights anything may be seen
        break;
      case "dashboard:state":
        this.#listed(data, replyTo);
        break;
      case "dashboard:task_list_updated":
        if (this.#dashboard?.phase === "joined") this.#dashboard.view.update(data);
        if (data.change === "upserted") this.#becameVisible(data.taskId);
        else this.#unsee(data.taskId);
        break;
      case "task:state": {
        const room = this.#tasks.get(data.taskId);
        if (room && takes(room, replyTo, data.more) && !room.view.replace(data)) this.#startOver(room);
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
      case "task:revoked":
        this.#went(data.taskId, type === "task:deleted" ? "deleted" : "revoked");
        break;
      case "task:left":
        this.#left(data.taskId, replyTo);
        this.#freed();
        break;
      case "dashboard:left":
        this.#left(null, replyTo);
        break;
      case "error":
        if (replyTo !== undefined) this.#failed(replyTo, data);
        break;
    }
  }

  /** @param {Partial<import("./messages.js").Welcome["limits"]>} [limits] */
  #learn({ maxTasks = Infinity, maxMessageBytes = MAX_MESSAGE_BYTES_DEFAULT, messagesPerSecond = 0 } = {}) {
    this.#limits = { maxTasks, maxMessageBytes };
    this.#pace.learn(messagesPerSecond, this.#host.now());
  }

  /**
   * @param {import("./messages.js").DashboardState} page
   * @param {string | undefined} replyTo
   */
  #listed(page, replyTo) {
    const room = this.#dashboard;
    const isFirst = room?.phase === "asked" || replyTo === undefined;
    if (room && takes(room, replyTo, page.more)) room.view.replace(page);
    for (const { taskId } of page.tasks) this.#becameVisible(taskId);
    // It stands for messages that were never sent, also for those of tasks past its end.
    const isCut = room?.phase === "joined" && room.view.size >= (room.limit ?? DASHBOARD_LIMIT_DEFAULT);
    if (isFirst && isCut && !page.more) this.#lookForHidden();
  }

  /**
   * The relay says that a task is not, or no longer, ours to see.
   * @param {string} taskId
   * @param {string} state
   */
  #went(taskId, state) {
    const room = this.#tasks.get(taskId);
    if (!room) return;
    room.seen = false;
    if (room.phase === "joined" || room.halfway) {
      this.#end(room, "gone", state); // no other page follows
    } else if (!room.view.isEmpty) {
      room.view.end(state); // and the answer that is awaited says what it is now
    }
  }

  /**
   * @param {string | null} key
   * @param {string | undefined} replyTo
   */
  #left(key, replyTo) {
    if (replyTo !== undefined && this.#leaves.get(key)?.request === replyTo) this.#leaves.delete(key);
  }

  /**
   * @param {string} request
   * @param {import("./messages.js").Error} error
   */
  #failed(request, { code, temporary, taskId, retryAfterMs }) {
    const now = this.#host.now();
    const waitMs = waitOf(retryAfterMs);
    // One request too fast: all wait for the time of the next, and leave at the pace of the relay.
    if (code === "rate_limited") this.#pace.refused(waitMs, now);
    const notBefore = code === "rate_limited" ? 0 : now + waitMs;
    for (const [key, leave] of this.#leaves) {
      if (leave.request !== request) continue;
      if (temporary) this.#leaves.set(key, { notBefore });
      else this.#leaves.delete(key);
    }
    const failed = this.#all().filter((room) => isAnswered(room) && room.request === request
      && (taskId === undefined || room === this.#tasks.get(taskId)));
    if (temporary) {
      for (const room of failed) if (room.phase === "asked") this.#want(room, notBefore);
    } else if (failed.length > 1 && OF_THE_WHOLE.has(code)) {
      if (code !== "too_many_tasks") this.#pace.spend(1 - costOfTasks(failed.length)); // nothing was read for it
      halve(failed);
      for (const room of failed) this.#want(room);
    } else {
      for (const room of failed) this.#refuse(room, code);
    }
    this.#ask();
  }

  /**
   * A join was answered with an error that stays.
   * @param {DashboardRoom | TaskRoom} room
   * @param {string} code
   */
  #refuse(room, code) {
    // Between the relay's look at it and its answer the task came into view.
    if (code === "forbidden" && room.seen) return this.#want(room);
    if (code === "too_many_tasks") this.#end(room, "full", code);
    else this.#end(room, code === "bad_request" || code === "bad_message" ? "refused" : "gone", code);
  }

  /**
   * @param {DashboardRoom | TaskRoom} room
   * @param {Phase} phase
   * @param {string} state of its view
   */
  #end(room, phase, state) {
    room.phase = phase;
    room.share = undefined;
    room.halfway = room.seen = false;
    room.view.end(state);
    if (phase !== "full") this.#freed();
  }

  /** The connection may have one task more: the first that was too many. */
  #freed() {
    for (const room of this.#tasks.values()) {
      if (room.phase !== "full") continue;
      this.#want(room);
      return this.#ask();
    }
  }

  /** @param {string} taskId of a task that the list shows */
  #becameVisible(taskId) {
    const room = this.#tasks.get(taskId);
    if (room?.phase === "asked") room.seen = true;
    if (room?.phase !== "gone") return;
    this.#want(room);
    this.#ask();
  }

  /** @param {string} taskId of a task that the list shows no more */
  #unsee(taskId) {
    const room = this.#tasks.get(taskId);
    if (room) room.seen = false;
  }

  /** Something may have come into view, and nobody says what. */
  #lookForHidden() {
    for (const taskId of this.#tasks.keys()) this.#becameVisible(taskId);
  }

  /** @param {TaskRoom} room */
  #startOver(room) {
    room.view.losePosition();
    this.#want(room);
    this.#ask();
  }

  /** @param {string} taskId */
  #joined(taskId) {
    const room = this.#tasks.get(taskId);
    return room?.phase === "joined" ? room : undefined;
  }

  /** @returns {(DashboardRoom | TaskRoom)[]} */
  #all() {
    return this.#dashboard ? [this.#dashboard, ...this.#tasks.values()] : [...this.#tasks.values()];
  }

  /**
   * @param {DashboardRoom | TaskRoom} room
   * @param {number} [notBefore] in ms since the epoch
   */
  #want(room, notBefore = 0) {
    room.phase = "wanted";
    room.notBefore = notBefore;
    room.halfway = false;
  }

  /**
   * @param {string | null} key
   * @param {DashboardRoom | TaskRoom} room
   */
  #leave(key, room) {
    if (room.request === undefined || room.phase === "full" || room.phase === "refused") return; // it is not there
    this.#leaves.set(key, { notBefore: 0 });
    this.#ask();
    this.#freed();
  }

  /** What is wanted in one turn leaves together, in as few frames as the protocol allows. */
  #ask() {
    if (this.#asking) return;
    this.#asking = true;
    queueMicrotask(() => {
      this.#asking = false;
      this.#sendDue();
    });
  }

  /** Sends what is to be sent, as far as the pace of the relay allows; the rest when it does. */
  #sendDue() {
    this.#host.clearTimeout(this.#timer);
    if (this.#isClosed) return;
    const now = this.#host.now();
    for (const { type, data, cost, sent } of this.#due(now)) {
      const waitMs = this.#pace.waitMs(now);
      if (waitMs > 0) return this.#sendLater(waitMs);
      this.#pace.spend(cost);
      sent(this.#send(type, data));
    }
    const waits = [...this.#all().filter(({ phase }) => phase === "wanted"), ...this.#leaves.values()];
    const next = Math.min(...waits.map(({ notBefore }) => notBefore).filter((at) => at > now));
    if (next < Infinity) this.#sendLater(next - now);
  }

  /** @param {number} ms */
  #sendLater(ms) {
    this.#timer = this.#host.setTimeout(() => this.#sendDue(), ms);
  }

  /**
   * Leaves first: they make room for what is joined.
   * @param {number} now
   * @returns {Generator<Due, void, void>}
   */
  *#due(now) {
    for (const [key, leave] of this.#leaves) {
      // What is wanted again is not left: a join is answered afresh also where there was one.
      if (leave.request !== undefined || leave.notBefore > now || this.#isWanted(key)) continue;
      yield {
        ...(key === null ? { type: "dashboard:leave", data: {} } : { type: "task:leave", data: { taskId: key } }),
        cost: 1,
        sent: (request) => {
          if (request === undefined) this.#leaves.delete(key);
          else leave.request = request;
        },
      };
    }
    const dashboard = this.#dashboard;
    if (dashboard?.phase === "wanted" && dashboard.notBefore <= now) {
      const { limit } = dashboard;
      const data = limit === undefined ? {} : { limit };
      yield { type: "dashboard:join", data, cost: costOfList(limit), sent: (request) => this.#asked([dashboard], request) };
    }
    for (const batch of this.#batches(now)) {
      const data = { tasks: batch.map(askedOf) };
      yield { type: "task:join", data, cost: costOfTasks(batch.length), sent: (request) => this.#asked(batch, request) };
    }
  }

  /**
   * The tasks to join now. What cannot be asked for at all is refused here.
   * @param {number} now
   */
  #batches(now) {
    const bytes = this.#limits.maxMessageBytes - ENVELOPE_BYTES;
    const isSendable = (/** @type {TaskRoom} */ room) => isText(room.view.taskId) && sizeOfJson(askedOf(room)) < bytes;
    const due = [...this.#tasks.values()].filter(({ phase, notBefore }) => phase === "wanted" && notBefore <= now);
    for (const room of due) if (!isSendable(room)) this.#refuse(room, "bad_request");
    const rooms = [...this.#tasks.values()].filter(({ phase }) => phase === "asked" || phase === "joined");
    const free = Math.max(0, this.#limits.maxTasks - rooms.length);
    const sendable = due.filter(({ phase }) => phase === "wanted");
    for (const room of sendable.slice(free)) this.#refuse(room, "too_many_tasks");
    return batches(sendable.slice(0, free), { most: MAX_BATCH, bytes, sizeOf: (room) => sizeOfJson(askedOf(room)) + 1 });
  }

  /**
   * @param {(DashboardRoom | TaskRoom)[]} rooms that a join asks for
   * @param {string | undefined} request its id
   */
  #asked(rooms, request) {
    if (request === undefined) return; // joinAll follows when there is a connection
    for (const room of rooms) {
      room.phase = "asked";
      room.request = request;
      room.halfway = room.seen = false;
      const key = room.view instanceof Timeline ? room.view.taskId : null;
      if (this.#leaves.get(key)?.request === undefined) this.#leaves.delete(key);
    }
  }

  /** @param {string | null} key */
  #isWanted(key) {
    const room = key === null ? this.#dashboard : this.#tasks.get(key);
    return room !== null && room !== undefined && room.phase !== "full" && room.phase !== "refused";
  }
}

/** @param {TaskRoom} room */
function askedOf({ view }) {
  return { taskId: view.taskId, ...view.position };
}

/**
 * Whether it can be part of a frame: JSON with half a character is none to the relay.
 * @param {unknown} taskId
 */
function isText(taskId) {
  return typeof taskId === "string" && !LONE_SURROGATE.test(taskId);
}

/** @param {unknown} retryAfterMs */
function waitOf(retryAfterMs) {
  return typeof retryAfterMs === "number" && retryAfterMs >= 0 ? Math.min(retryAfterMs, MAX_WAIT_MS) : RETRY_MS;
}

/** @param {DashboardRoom | TaskRoom} room */
function isAnswered({ phase }) {
  return phase === "asked" || phase === "joined";
}

/**
 * Whether a state belongs to the room as it is now; its last page ends the waiting. Over long
 * polling a task that may be seen again comes by itself, as the answer to the join it was asked by.
 * @param {DashboardRoom | TaskRoom} room
 * @param {string | undefined} replyTo
 * @param {boolean} more
 */
function takes(room, replyTo, more) {
  if (room.phase === "joined") return true;
  if ((room.phase !== "asked" && room.phase !== "gone") || replyTo === undefined || room.request !== replyTo) return false;
  room.phase = more ? "asked" : "joined";
  room.halfway = more;
  room.share = undefined;
  return true;
}

// @ts-check
// What the application has joined: sends the joins and leaves, and applies the messages to lists and timelines.
//
// Rules of this file:
// - The joined tasks are the state. Every new connection joins all of them again, each from its position.
// - While an answer is awaited, nothing else of that task is applied, because the answer contains it. Only what the
//   user may no longer see is dropped at once.
// - What the relay had no time for is sent again at the time it names, unless it is no longer wanted.
// - A join that is refused ends that task alone: the others of the same request are joined again without it.

import { batches, halve, sizeOfJson } from "./batches.js";
import { Leaves } from "./leaves.js";
import { Pace, costOfList, costOfTasks } from "./pace.js";
import { DASHBOARD_LIMIT_DEFAULT, MAX_BATCH, MAX_MESSAGE_BYTES_DEFAULT } from "./protocol.js";
import { Subscription } from "./subscription.js";
import { TaskList } from "./task-list.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("./messages.js").ServerMessage} ServerMessage */
/** @typedef {Subscription<TaskList>} ListSubscription */
/** @typedef {Subscription<Timeline>} TaskSubscription */

/**
 * A request to be sent: its cost in requests, and what follows when it has been sent.
 * @typedef {{type: string, data: object, cost: number, sent: (request: string | undefined) => void}} Due
 */

const RETRY_MS = 2_000; // after a temporary error that names no time
const MAX_WAIT_MS = 2 ** 31 - 1; // a longer timer would fire at once
const ENVELOPE_BYTES = 128; // of a frame, around the tasks it names
// With one bad or surplus task, the relay refuses a whole request without naming the task (PROTOCOL.md section 3).
const OF_THE_WHOLE = new Set(["bad_request", "bad_message", "too_many_tasks"]);
const LONE_SURROGATE = /\p{Surrogate}/u;
const EARLY = "early"; // stands for the id of a join that was sent with the request for the connection
const UNKNOWN_LIMITS = { maxTasks: Infinity, maxMessageBytes: MAX_MESSAGE_BYTES_DEFAULT };

export class Subscriptions {
  /** @type {ListSubscription | null} */
  #list = null;
  /** @type {Map<string, TaskSubscription>} */
  #tasks = new Map();
  #leaves = new Leaves();
  #limits = UNKNOWN_LIMITS;
  #pace = new Pace();
  #isScheduled = false;
  #isClosed = false;
  /** @type {any} */
  #timer;
  #send;
  #host;

  /**
   * @param {(type: string, data: object) => string | undefined} send
   *   returns the id of the request, or undefined while there is no connection
   * @param {import("./host.js").Host} host
   */
  constructor(send, host) {
    this.#send = send;
    this.#host = host;
  }

  /** @param {number} [limit] */
  joinDashboard(limit) {
    this.#list ??= new Subscription(new TaskList(), limit);
    this.#list.joins += 1;
    this.#schedule();
    return this.#list.view;
  }

  leaveDashboard() {
    const list = this.#list;
    if (!list || --list.joins > 0) return;
    this.#list = null;
    this.#leave(null, list);
  }

  /** @param {string} taskId */
  joinTask(taskId) {
    const task = this.#tasks.get(taskId) ?? new Subscription(new Timeline(taskId));
    this.#tasks.set(taskId, task);
    task.joins += 1;
    this.#schedule();
    return task.view;
  }

  /** @param {string} taskId */
  leaveTask(taskId) {
    const task = this.#tasks.get(taskId);
    if (!task || --task.joins > 0) return;
    this.#tasks.delete(taskId);
    this.#leave(taskId, task);
  }

  /** The limit of the list that is to be joined; undefined if none is. */
  get wantedLimit() {
    return this.#list?.phase === "wanted" ? (this.#list.limit ?? DASHBOARD_LIMIT_DEFAULT) : undefined;
  }

  /**
   * Joins everything on a new connection, which knows nothing of earlier joins.
   * @param {number} [joined] the limit of the list, if the request for the connection has joined it
   */
  joinAll(joined) {
    this.#leaves.clear();
    this.#limits = UNKNOWN_LIMITS;
    this.#pace.begin();
    for (const one of this.#all()) one.reset();
    if (joined !== undefined && this.wantedLimit === joined) this.#list?.ask(EARLY);
    if (joined !== undefined && this.#list === null) this.#leaves.add(null); // it was left meanwhile
    this.#schedule();
  }

  /**
   * Everything that is joined, with its position.
   * @returns {import("./debug.js").DebugRoom[]}
   */
  get rooms() {
    const list = this.#list;
    const tasks = [...this.#tasks].map(([room, { view, phase }]) => (
      { room, state: view.state, phase, held: view.events.length, ...view.position }
    ));
    return list ? [{ room: null, state: list.view.state, phase: list.phase, held: list.view.size }, ...tasks] : tasks;
  }

  /** Sends nothing any more. */
  close() {
    this.#host.clearTimeout(this.#timer);
    this.#isClosed = true;
  }

  /** @param {ServerMessage} message */
  receive({ type, data, replyTo: named }) {
    const isEarly = this.#list?.phase === "asked" && this.#list.request === EARLY;
    const replyTo = isEarly && (type === "dashboard:state" || type === "error") ? (named ?? EARLY) : named;
    switch (type) {
      case "welcome":
        this.#learn(data.limits);
        break;
      case "auth:ok":
        this.#joinHidden(); // the fresh token may have other rights
        break;
      case "dashboard:state":
        this.#listed(data, replyTo);
        break;
      case "dashboard:task_list_updated":
        if (this.#list?.phase === "joined") this.#list.view.update(data);
        if (data.change === "upserted") this.#becameVisible(data.taskId);
        else this.#becameHidden(data.taskId);
        break;
      case "task:state": {
        const task = this.#tasks.get(data.taskId);
        if (task?.accepts(replyTo, data.more) && !task.view.replace(data)) this.#startOver(task);
        break;
      }
      case "task:event_added": {
        const task = this.#joined(data.taskId);
        if (task && !task.view.append(data)) this.#startOver(task);
        break;
      }
      case "task:updated":
        this.#joined(data.taskId)?.view.summarize(data.task);
        break;
      case "task:deleted":
      case "task:revoked":
        this.#ended(data.taskId, type === "task:deleted" ? "deleted" : "revoked");
        break;
      case "task:left":
        this.#leaves.confirmed(data.taskId, replyTo);
        this.#joinNextFull();
        break;
      case "dashboard:left":
        this.#leaves.confirmed(null, replyTo);
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
    if (this.#list?.request === EARLY) this.#pace.spend(costOfList(this.#list.limit));
  }

  /**
   * @param {import("./messages.js").DashboardState} page
   * @param {string | undefined} replyTo
   */
  #listed(page, replyTo) {
    const list = this.#list;
    const isComplete = list?.phase === "asked" || replyTo === undefined;
    if (list?.accepts(replyTo, page.more)) list.view.replace(page);
    for (const { taskId } of page.tasks) this.#becameVisible(taskId);
    // The state replaces messages that were never sent, also those about tasks beyond the limit of the list.
    const isCut = list?.phase === "joined" && list.view.size >= (list.limit ?? DASHBOARD_LIMIT_DEFAULT);
    if (isComplete && isCut && !page.more) this.#joinHidden();
  }

  /**
   * The relay says that a task was deleted, or that this user may no longer see it.
   * @param {string} taskId
   * @param {"deleted" | "revoked"} state
   */
  #ended(taskId, state) {
    const task = this.#tasks.get(taskId);
    if (!task) return;
    task.wasListed = false;
    if (task.phase === "joined" || task.isPartial) {
      this.#end(task, "gone", state); // no further page follows
    } else if (!task.view.isEmpty) {
      task.view.end(state); // the awaited answer will say what the task is now
    }
  }

  /**
   * @param {string} request
   * @param {import("./messages.js").Error} error
   */
  #failed(request, { code, temporary, taskId, retryAfterMs }) {
    const now = this.#host.now();
    const waitMs = waitOf(retryAfterMs);
    // A request that came too fast delays all of them, so the pace waits and not this request.
    if (code === "rate_limited") this.#pace.refused(waitMs, now);
    const notBefore = code === "rate_limited" ? 0 : now + waitMs;
    this.#leaves.failed(request, temporary ? notBefore : null);
    const failed = this.#all().filter((one) => one.isActive && one.request === request
      && (taskId === undefined || one === this.#tasks.get(taskId)));
    if (temporary) {
      for (const one of failed) if (one.phase === "asked") one.want(notBefore);
    } else if (failed.length > 1 && OF_THE_WHOLE.has(code)) {
      if (code !== "too_many_tasks") this.#pace.spend(1 - costOfTasks(failed.length)); // the relay read none of them
      halve(failed);
      for (const one of failed) one.want();
    } else {
      for (const one of failed) this.#refuse(one, code);
    }
    this.#schedule();
  }

  /**
   * The relay answered a join with a final error.
   * @param {ListSubscription | TaskSubscription} one
   * @param {import("./messages.js").ErrorCode} code
   */
  #refuse(one, code) {
    // The task became visible after the relay looked at it and before its answer arrived.
    if (code === "forbidden" && one.wasListed) return one.want();
    if (code === "too_many_tasks") this.#end(one, "full", code);
    else this.#end(one, code === "bad_request" || code === "bad_message" ? "refused" : "gone", code);
  }

  /**
   * @param {ListSubscription | TaskSubscription} one
   * @param {import("./subscription.js").Phase} phase
   * @param {import("./subscription.js").EndState} state of its view
   */
  #end(one, phase, state) {
    one.end(phase, state);
    if (phase !== "full") this.#joinNextFull();
  }

  /** Joins the first task that was too many, because the connection may now have one more. */
  #joinNextFull() {
    for (const task of this.#tasks.values()) {
      if (task.phase !== "full") continue;
      task.want();
      return this.#schedule();
    }
  }

  /** @param {string} taskId of a task that the list shows */
  #becameVisible(taskId) {
    const task = this.#tasks.get(taskId);
    if (task?.phase === "asked") task.wasListed = true;
    if (task?.phase !== "gone") return;
    task.want();
    this.#schedule();
  }

  /** @param {string} taskId of a task that the list no longer shows */
  #becameHidden(taskId) {
    const task = this.#tasks.get(taskId);
    if (task) task.wasListed = false;
  }

  /** Joins every hidden task again: some of them may have become visible, and no message says which. */
  #joinHidden() {
    for (const taskId of this.#tasks.keys()) this.#becameVisible(taskId);
  }

  /**
   * Joins a task from its beginning, because what arrived does not continue what it holds.
   * @param {TaskSubscription} task
   */
  #startOver(task) {
    task.view.losePosition();
    task.want();
    this.#schedule();
  }

  /** @param {string} taskId */
  #joined(taskId) {
    const task = this.#tasks.get(taskId);
    return task?.phase === "joined" ? task : undefined;
  }

  /** @returns {(ListSubscription | TaskSubscription)[]} */
  #all() {
    return this.#list ? [this.#list, ...this.#tasks.values()] : [...this.#tasks.values()];
  }

  /**
   * @param {string | null} key a task id, or null for the list
   * @param {ListSubscription | TaskSubscription} one
   */
  #leave(key, one) {
    // The relay has no such join, so there is nothing to leave.
    if (one.request === undefined || one.phase === "full" || one.phase === "refused") return;
    this.#leaves.add(key);
    this.#schedule();
    this.#joinNextFull();
  }

  /** Sends together what the application asks for in one turn of the event loop, in as few frames as possible. */
  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Not queueMicrotask, which the fake timers of a test may replace.
    void Promise.resolve().then(() => {
      this.#isScheduled = false;
      this.#sendDue();
    });
  }

  /** Sends what is due, as far as the pace of the relay allows, and sets a timer for the rest. */
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
    const wanted = this.#all().filter(({ phase }) => phase === "wanted").map(({ notBefore }) => notBefore);
    const next = Math.min(...[...wanted, ...this.#leaves.times()].filter((at) => at > now));
    if (next < Infinity) this.#sendLater(next - now);
  }

  /** @param {number} ms */
  #sendLater(ms) {
    this.#timer = this.#host.setTimeout(() => this.#sendDue(), ms);
  }

  /**
   * Leaves come first: they free places for the joins.
   * @param {number} now
   * @returns {Generator<Due, void, void>}
   */
  *#due(now) {
    for (const key of this.#leaves.due(now)) {
      // A join that follows is answered with a complete state even where the relay still has the old join.
      if (this.#isWanted(key)) continue;
      const [type, data] = key === null ? ["dashboard:leave", {}] : ["task:leave", { taskId: key }];
      yield { type, data, cost: 1, sent: (id) => this.#leaves.sent(key, id) };
    }
    const list = this.#list;
    if (list?.phase === "wanted" && list.notBefore <= now) {
      const { limit } = list;
      const data = limit === undefined ? {} : { limit };
      yield { type: "dashboard:join", data, cost: costOfList(limit), sent: (id) => this.#asked([list], id) };
    }
    for (const batch of this.#batches(now)) {
      const data = { tasks: batch.map(askedOf) };
      yield { type: "task:join", data, cost: costOfTasks(batch.length), sent: (id) => this.#asked(batch, id) };
    }
  }

  /**
   * The tasks to join now, each batch for one request. Refuses those that no request can hold.
   * @param {number} now
   */
  #batches(now) {
    const bytes = this.#limits.maxMessageBytes - ENVELOPE_BYTES;
    const due = [...this.#tasks.values()].filter(({ phase, notBefore }) => phase === "wanted" && notBefore <= now);
    for (const task of due) if (!fitsIn(task, bytes)) this.#refuse(task, "bad_request");
    const active = [...this.#tasks.values()].filter(({ isActive }) => isActive);
    const free = Math.max(0, this.#limits.maxTasks - active.length);
    const sendable = due.filter(({ phase }) => phase === "wanted");
    for (const task of sendable.slice(free)) this.#refuse(task, "too_many_tasks");
    const sizeOf = (/** @type {TaskSubscription} */ task) => sizeOfJson(askedOf(task)) + 1; // and a comma
    return batches(sendable.slice(0, free), { most: MAX_BATCH, bytes, sizeOf });
  }

  /**
   * @param {(ListSubscription | TaskSubscription)[]} joined that a join names
   * @param {string | undefined} request its id
   */
  #asked(joined, request) {
    if (request === undefined) return; // there is no connection; joinAll() follows when there is one
    for (const one of joined) {
      one.ask(request);
      this.#leaves.cancel(one.view instanceof Timeline ? one.view.taskId : null);
    }
  }

  /** @param {string | null} key a task id, or null for the list */
  #isWanted(key) {
    const one = key === null ? this.#list : this.#tasks.get(key);
    return one !== null && one !== undefined && one.phase !== "full" && one.phase !== "refused";
  }
}

/** @param {TaskSubscription} task */
function askedOf({ view }) {
  return { taskId: view.taskId, ...view.position };
}

/**
 * Whether a frame can hold the join of this task. The relay refuses JSON with half of a surrogate pair.
 * @param {TaskSubscription} task
 * @param {number} bytes of the frame
 */
function fitsIn(task, bytes) {
  const { taskId } = task.view;
  return typeof taskId === "string" && !LONE_SURROGATE.test(taskId) && sizeOfJson(askedOf(task)) < bytes;
}

/** @param {unknown} retryAfterMs */
function waitOf(retryAfterMs) {
  return typeof retryAfterMs === "number" && retryAfterMs >= 0 ? Math.min(retryAfterMs, MAX_WAIT_MS) : RETRY_MS;
}

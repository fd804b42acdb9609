// @ts-check
// The values that components read: immutable, and the same objects until their content changes. Pure.

/** @typedef {import("../client/index.js").AnyEvents} AnyEvents */
/** @typedef {import("../client/index.js").ListState} ListState */
/** @typedef {import("../client/index.js").Status} Status */
/** @typedef {import("../client/index.js").TaskList} TaskList */
/** @typedef {import("../client/index.js").TaskSummary} TaskSummary */
/** @typedef {import("../client/index.js").Timeline} Timeline */
/** @typedef {import("../client/index.js").TimelineState} TimelineState */
/**
 * @template [E=AnyEvents]
 * @typedef {import("../client/index.js").Event<E>} Event
 */

/**
 * @template {import("./subscription.js").View} V
 * @template S
 * @typedef {import("./subscription.js").Source<V, S>} Source
 */

/**
 * A status of the client. `since`: when the page began to be out of date, in ms since the epoch.
 * @typedef {Readonly<Status & {since?: number}>} Connection
 */

/**
 * `state` as in the client's `TaskList`: `loading`, `ready`, or the code of a refusal.
 * @typedef {{readonly state: ListState, readonly tasks: readonly TaskSummary[]}} DashboardSnapshot
 */

/**
 * `state` as in the client's `Timeline` (`loading`, `ready`, `deleted`, `revoked`, or the code of a refusal), or `none`
 * without a task id.
 * @template [E=AnyEvents]
 * @typedef {{readonly state: TimelineState | "none", readonly task: TaskSummary | null,
 *   readonly events: readonly (Event<E> | null)[]}} TaskSnapshot
 */

/** @type {readonly never[]} */
const EMPTY = Object.freeze([]);
/** @type {Connection} */
export const NOT_YET_CONNECTED = Object.freeze({ state: "connecting" });
/** @type {import("../client/index.js").Claims} */
export const NOBODY = Object.freeze({});
/** @type {DashboardSnapshot} */
export const LOADING_DASHBOARD = Object.freeze({ state: "loading", tasks: EMPTY });
/** @type {TaskSnapshot} */
export const LOADING_TASK = Object.freeze({ state: "loading", task: null, events: EMPTY });
/** @type {TaskSnapshot} */
export const NO_TASK = Object.freeze({ state: "none", task: null, events: EMPTY });

/**
 * The connection after a change of its status. A new attempt neither starts nor ends the time out of date.
 * @param {Connection} before
 * @param {Status} status
 * @param {number} now
 * @returns {Connection}
 */
export function connectionAfter(before, status, now) {
  switch (status.state) {
    case "live":
    case "polling":
      return status;
    case "connecting":
      return before.since === undefined ? status : { ...status, since: before.since };
    default:
      return { ...status, since: before.since ?? now };
  }
}

/**
 * @param {number} [limit]
 * @returns {Source<TaskList, DashboardSnapshot>}
 */
export function dashboardSource(limit) {
  return {
    loading: LOADING_DASHBOARD,
    join: (relay) => relay.joinDashboard({ limit }),
    leave: (relay) => relay.leaveDashboard(),
    read: ({ state, tasks }, before) => {
      const same = state === before.state && sameElements(before.tasks, tasks);
      return same ? before : { state, tasks };
    },
  };
}

/**
 * @param {string} taskId
 * @returns {Source<Timeline, TaskSnapshot>}
 */
export function taskSource(taskId) {
  return {
    loading: LOADING_TASK,
    join: (relay) => relay.joinTask(taskId),
    leave: (relay) => relay.leaveTask(taskId),
    read: ({ state, task, events }, before) => {
      const after = {
        state,
        task: sameContent(before.task, task) ? before.task : task,
        events: sameElements(before.events, events) ? before.events : [...events],
      };
      const same = state === before.state && after.task === before.task && after.events === before.events;
      return same ? before : after;
    },
  };
}

/**
 * @param {readonly unknown[]} some
 * @param {readonly unknown[]} others
 */
function sameElements(some, others) {
  return some.length === others.length && some.every((element, index) => element === others[index]);
}

/**
 * A reconnect brings a summary that is another object and mostly says the same.
 * @param {TaskSummary | null} one
 * @param {TaskSummary | null} other
 */
function sameContent(one, other) {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

// @ts-check
// The requests of a client as types. scripts/generate writes this file from the declaration in
// relay/protocol/messages.py and polls.py: change that one.

/**
 * Says who you are. Answered with `welcome` when it is the first frame, with `auth:ok` when it replaces the
 * token of a connection.
 * @typedef {object} Auth
 * @property {string} token
 */

/**
 * Joins the list. Answered with `dashboard:state`, then live messages. `limit` bounds the state, not what is
 * live.
 * @typedef {object} DashboardJoin
 * @property {number} [limit]
 */

/**
 * Leaves the list. Answered with `dashboard:left`.
 * @typedef {{}} DashboardLeave
 */

/**
 * Asks whether the connection works. Answered with `pong`.
 * @typedef {{}} Ping
 */

/**
 * Asks for the states of tasks without joining them. Answered with a `task:state` for each task that you may
 * see, then `resync:done`. For a joined task the state is part of the live order.
 * @typedef {object} Resync
 * @property {(string | TaskPosition)[]} taskIds
 */

/**
 * Leaves a task. Answered with `task:left`.
 * @typedef {object} TaskLeave
 * @property {string} taskId
 */

/**
 * A task, and the position up to which you hold its events. `since` counts only together with `head`.
 * @typedef {object} TaskPosition
 * @property {string} taskId
 * @property {number | null} [since]
 * @property {string | null} [head]
 */

/**
 * Several tasks in one request.
 * @typedef {object} TaskPositions
 * @property {TaskPosition[]} tasks
 */

/** @typedef {{type: "auth", data: Auth, id?: string | null}} AuthRequest */

/** @typedef {{type: "dashboard:join", data?: DashboardJoin, id?: string | null}} DashboardJoinRequest */

/** @typedef {{type: "dashboard:leave", data?: DashboardLeave, id?: string | null}} DashboardLeaveRequest */

/** @typedef {{type: "task:join", data: TaskPosition | TaskPositions, id?: string | null}} TaskJoinRequest */

/** @typedef {{type: "task:leave", data: TaskLeave, id?: string | null}} TaskLeaveRequest */

/** @typedef {{type: "resync_requested", data: Resync, id?: string | null}} ResyncRequest */

/** @typedef {{type: "ping", data?: Ping, id?: string | null}} PingRequest */

/**
 * Everything that a client may send.
 * @typedef {AuthRequest
 *   | DashboardJoinRequest
 *   | DashboardLeaveRequest
 *   | TaskJoinRequest
 *   | TaskLeaveRequest
 *   | ResyncRequest
 *   | PingRequest} ClientMessage
 */

export {};

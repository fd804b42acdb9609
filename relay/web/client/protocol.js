// @ts-check
// The vocabulary of the wire as JSDoc types, and what a close code asks of a client. Pure.
// PROTOCOL.md is the contract; names here are wire names.

/** @typedef {"analyzing" | "clarification_needed" | "dispatched" | "pr_opened" | "pr_merged" | "failed"} Stage */

/**
 * What a list shows of a task; a field the document says nothing about is absent. `stage`: what the status stands
 * for in the mapping of the relay. Absent where the mapping does not list the status, and from an older relay.
 * @typedef {object} TaskSummary
 * @property {string} taskId
 * @property {number} eventCount
 * @property {string} [title]
 * @property {string} [creator]
 * @property {string} [status]
 * @property {Stage} [stage]
 * @property {string} [createdAt]
 * @property {string} [updatedAt]
 * @property {string} [issueUrl]
 * @property {number} [issueNumber]
 * @property {string} [prUrl]
 * @property {number} [prNumber]
 * @property {string} [mergeCommitSha]
 * @property {string} [error]
 * @property {string[]} [questions]
 */

/**
 * One element of a timeline; a hole in the array is `null` instead.
 * @typedef {{type: string | null, at: string | null, data: any}} Event
 */

/**
 * @typedef {object} Welcome
 * @property {string} connectionId
 * @property {string} sub
 * @property {number} protocol
 * @property {number} heartbeatMs
 * @property {string} expiresAt
 * @property {{maxMessageBytes: number, messagesPerSecond: number, maxTasks: number}} limits
 */

/** @typedef {{tasks: TaskSummary[], reset: boolean, more: boolean}} DashboardState */

/**
 * One page of a task. Keep the first `from` events, replace everything after them.
 * @typedef {object} TaskState
 * @property {string} taskId
 * @property {TaskSummary} task
 * @property {(Event | null)[]} events
 * @property {number} from
 * @property {number} next
 * @property {string} head
 * @property {boolean} reset
 * @property {boolean} more
 */

/** @typedef {{taskId: string, index: number, event: Event | null, next: number, head: string}} EventAdded */
/** @typedef {{change: "upserted"} & TaskSummary} ListUpserted */
/** @typedef {{change: "deleted" | "revoked", taskId: string}} ListRemoved */

/**
 * @typedef {object} ErrorData
 * @property {string} code
 * @property {string} message
 * @property {boolean} temporary
 * @property {string} [taskId]
 * @property {number} [retryAfterMs]
 */

/**
 * @template {string} T
 * @template D
 * @typedef {{type: T, data: D, at?: string, replyTo?: string}} Message
 */

/**
 * Every message a client acts upon. The lifecycle messages (`task:created`, `task:analyzing`, …)
 * are hints for the moment and reach the listeners only.
 * @typedef {Message<"welcome", Welcome>
 *   | Message<"heartbeat" | "pong", {serverTime: string}>
 *   | Message<"dashboard:state", DashboardState>
 *   | Message<"dashboard:task_list_updated", ListUpserted | ListRemoved>
 *   | Message<"dashboard:left", {}>
 *   | Message<"task:state", TaskState>
 *   | Message<"task:event_added", EventAdded>
 *   | Message<"task:updated", {taskId: string, task: TaskSummary}>
 *   | Message<"task:deleted" | "task:revoked" | "task:left", {taskId: string}>
 *   | Message<"task:created" | "task:analyzing" | "task:clarification_needed" | "task:dispatched"
 *       | "task:pr_opened" | "task:pr_merged" | "task:failed", {taskId: string} & Record<string, unknown>>
 *   | Message<"resync:done", {taskIds: string[], forbidden: string[]}>
 *   | Message<"stream:status", {state: "live" | "stale", lagMs: number}>
 *   | Message<"auth:expiring" | "auth:ok", {expiresAt: string}>
 *   | Message<"server:draining", {reconnectAfterMs: number}>
 *   | Message<"error", ErrorData>} ServerMessage
 */

/** @typedef {{taskId: string, since?: number, head?: string}} TaskPosition */

/**
 * @template {string} T
 * @template D
 * @typedef {{type: T, id?: string, data: D}} Request
 */

/**
 * Every request a client may send; `since` counts only together with `head`.
 * @typedef {Request<"auth", {token: string}>
 *   | Request<"dashboard:join", {limit?: number}>
 *   | Request<"task:join", TaskPosition | {tasks: TaskPosition[]}>
 *   | Request<"task:leave", {taskId: string}>
 *   | Request<"resync_requested", {taskIds: (string | TaskPosition)[]}>
 *   | Request<"dashboard:leave" | "ping", {}>} ClientMessage
 */

/**
 * A task of a poll: how far we hold its events, and which summary (PROTOCOL.md section 8).
 * @typedef {{taskId: string, since?: number, head?: string, etag?: string, forbidden?: boolean}} PolledTask
 */

/**
 * @typedef {object} PollBody
 * @property {{limit?: number, etag?: string}} [dashboard]
 * @property {PolledTask[]} [tasks]
 * @property {string} [moment]
 */

/**
 * @typedef {object} PollAnswer
 * @property {ServerMessage[]} messages
 * @property {{etag: string}} [dashboard]
 * @property {Record<string, {etag: string}>} [tasks]
 * @property {string} moment
 * @property {boolean} [more]
 */

/** @typedef {{enabled: boolean, websocketUrl: string, pollUrl: string, protocol: number}} Config */

/**
 * What to do after a close: try again (after a time the server named, if it named one), try again
 * with a fresh token, or give up.
 * @typedef {{then: "reconnect", afterMs?: number} | {then: "refresh"} | {then: "give_up"}} Verdict
 */

export const SUBPROTOCOL = "relay.v1";
export const BEARER_PREFIX = "bearer.";
export const MAX_BATCH = 100; // tasks in one task:join
export const DASHBOARD_LIMIT_DEFAULT = 500; // tasks of a list whose join names no limit
export const DASHBOARD_LIMIT_MAX = 5000;
export const MAX_MESSAGE_BYTES_DEFAULT = 65_536; // of a frame or a poll, until the relay names another limit

const UNAUTHENTICATED = 4401;
export const RATE_LIMITED = 4429;
const FIRST_FINAL = 4500; // from here on the range says: do not come back
// Our own frames broke a rule: the same frames would break it again.
const SENDER_AT_FAULT = new Set([1003, 1007, 1008, 1009]);

/**
 * PROTOCOL.md section 7.
 * @param {number} code
 * @param {string} reason
 * @returns {Verdict}
 */
export function verdict(code, reason) {
  if (code === UNAUTHENTICATED) return { then: "refresh" };
  if (code >= FIRST_FINAL || SENDER_AT_FAULT.has(code)) return { then: "give_up" };
  if (code !== RATE_LIMITED) return { then: "reconnect" };
  const afterMs = Number(reason.split(":")[1]);
  return Number.isFinite(afterMs) ? { then: "reconnect", afterMs } : { then: "reconnect" };
}

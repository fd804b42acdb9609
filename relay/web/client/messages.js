// @ts-check
// The messages of the server as types. scripts/generate writes this file from the declaration in
// relay/protocol/messages.py and polls.py: change that one.

/**
 * Events of any type with any data. An application that knows its events names them in a type of its own, as in
 * `{note: {text: string}}`: the data by the type of the event.
 * @typedef {Record<string, any>} AnyEvents
 */

/**
 * Work on the task began.
 * @typedef {object} Analyzing
 * @property {string} taskId
 * @property {string} [status]
 */

/**
 * Your token expires soon: send a fresh one with `auth` before `expiresAt`.
 * @typedef {object} AuthExpiring
 * @property {string} expiresAt
 */

/**
 * A fresh token was accepted. It expires at `expiresAt`. `claims` is that of `welcome`, for the fresh token.
 * @typedef {object} AuthOk
 * @property {string} expiresAt
 * @property {Record<string, string[]>} [claims]
 */

/**
 * The task waits for answers.
 * @typedef {object} ClarificationNeeded
 * @property {string} taskId
 * @property {string} [status]
 * @property {string[]} [questions]
 */

/**
 * A task was inserted.
 * @typedef {object} Created
 * @property {string} taskId
 * @property {string} [title]
 * @property {string} [creator]
 * @property {string} [status]
 * @property {string} [createdAt]
 */

/**
 * The answer to `dashboard:leave`.
 * @typedef {{}} DashboardLeft
 */

/**
 * One page of the list, of at most 256 KiB: newest first by `_id`, or in the mapping's `list_order`. The first
 * page has `reset: true`: drop the list you have. `more` says that another page follows.
 * @typedef {object} DashboardState
 * @property {TaskSummary[]} tasks
 * @property {boolean} reset
 * @property {boolean} more
 */

/**
 * The task was deleted. You have left it.
 * @typedef {object} Deleted
 * @property {string} taskId
 */

/**
 * There is an issue for the task.
 * @typedef {object} Dispatched
 * @property {string} taskId
 * @property {string} [status]
 * @property {string} [issueUrl]
 * @property {number} [issueNumber]
 */

/**
 * A planned stop: reconnect `reconnectAfterMs` after the close. The relay spreads the values over its
 * connections.
 * @typedef {object} Draining
 * @property {number} reconnectAfterMs
 */

/**
 * A request was not done. `temporary` says whether the same request can succeed later.
 * @typedef {object} Error
 * @property {ErrorCode} code
 * @property {string} message
 * @property {boolean} temporary
 * @property {string} [taskId]
 * @property {number} [retryAfterMs]
 */

/**
 * The codes of an `error` message (section 5).
 * @typedef {"bad_message"
 *   | "unknown_type"
 *   | "bad_request"
 *   | "forbidden"
 *   | "rate_limited"
 *   | "too_many_tasks"
 *   | "feature_disabled"
 *   | "unavailable"
 *   | "internal"} ErrorCode
 */

/**
 * One element of a timeline. `data` is the whole sub-document as plain JSON.
 * @template [E=AnyEvents]
 * @typedef {string extends keyof E
 *   ? {type: string | null, at: string | null, data: any}
 *   : {[K in keyof E & string]: {type: K, at: string | null, data: E[K]}}[keyof E & string]} Event
 */

/**
 * The next element of a task's timeline. `next` and `head` are the position after it.
 * @template [E=AnyEvents]
 * @typedef {object} EventAdded
 * @property {string} taskId
 * @property {number} index
 * @property {Event<E> | null} event
 * @property {number} next
 * @property {string} head
 */

/**
 * The task failed.
 * @typedef {object} Failed
 * @property {string} taskId
 * @property {string} [status]
 * @property {string} [error]
 */

/**
 * Sent every `heartbeatMs` (25 s). A client that receives nothing for 2.5 × that is not connected.
 * @typedef {object} Heartbeat
 * @property {string} serverTime
 */

/**
 * The limits a `welcome` announces.
 * @typedef {object} Limits
 * @property {number} maxMessageBytes
 * @property {number} messagesPerSecond
 * @property {number} maxTasks
 */

/**
 * `deleted`, `revoked`: the task was deleted, or it is no longer visible to you. This message never waits, and
 * discards a change of the same task that waits.
 * @typedef {object} ListRemoved
 * @property {"deleted" | "revoked"} change
 * @property {string} taskId
 */

/**
 * `upserted`: something in the summary of a task changed, or the field that the mapping's `list_order` names, or
 * the task became visible to you. A change may wait up to `RELAY_LIST_UPDATE_MIN_INTERVAL_MS` after the last one
 * of its task, and a newer one replaces the one that waits. A task that became visible never waits.
 * @typedef {object} ListUpserted
 * @property {string} taskId
 * @property {number} eventCount
 * @property {string} [title]
 * @property {string} [creator]
 * @property {string} [status]
 * @property {"analyzing" | "clarification_needed" | "dispatched" | "pr_opened" | "pr_merged" | "failed"} [stage]
 * @property {string} [createdAt]
 * @property {string} [updatedAt]
 * @property {string} [issueUrl]
 * @property {number} [issueNumber]
 * @property {string} [prUrl]
 * @property {number} [prNumber]
 * @property {string} [mergeCommitSha]
 * @property {string} [error]
 * @property {string[]} [questions]
 * @property {Record<string, string[]>} [waitsFor]
 * @property {"upserted"} change
 */

/**
 * The answer to `ping`.
 * @typedef {object} Pong
 * @property {string} serverTime
 */

/**
 * The pull request was merged.
 * @typedef {object} PrMerged
 * @property {string} taskId
 * @property {string} [status]
 * @property {string} [mergeCommitSha]
 */

/**
 * There is a pull request for the task.
 * @typedef {object} PrOpened
 * @property {string} taskId
 * @property {string} [status]
 * @property {string} [prUrl]
 * @property {number} [prNumber]
 */

/**
 * The end of the answer to `resync_requested`: the tasks whose states were sent, and those that you may not see.
 * @typedef {object} ResyncDone
 * @property {string[]} taskIds
 * @property {string[]} forbidden
 */

/**
 * The task is no longer visible to you. You have left it.
 * @typedef {object} Revoked
 * @property {string} taskId
 */

/**
 * `stale`: the relay lost the database or fell behind it. `live`: it is current again. The conversation goes on
 * meanwhile. Follows `welcome` at once when the relay is stale.
 * @typedef {object} StreamStatus
 * @property {"live" | "stale"} state
 * @property {number} lagMs
 */

/**
 * The answer to `task:leave`.
 * @typedef {object} TaskLeft
 * @property {string} taskId
 */

/**
 * One page of a task, of at most 256 KiB: keep your first `from` events and replace everything after them
 * (section 6). `more` says that another page follows.
 * @template [E=AnyEvents]
 * @typedef {object} TaskState
 * @property {number} from
 * @property {string} taskId
 * @property {TaskSummary} task
 * @property {(Event<E> | null)[]} events
 * @property {number} next
 * @property {string} head
 * @property {boolean} reset
 * @property {boolean} more
 */

/**
 * What a list shows of a task. A field is absent if the document has no value for it, and `stage` if the mapping
 * does not list the status. `waitsFor` says whom the task waits for: every user for whom at least one of these
 * claims has at least one of its values.
 * @typedef {object} TaskSummary
 * @property {string} taskId
 * @property {number} eventCount
 * @property {string} [title]
 * @property {string} [creator]
 * @property {string} [status]
 * @property {"analyzing" | "clarification_needed" | "dispatched" | "pr_opened" | "pr_merged" | "failed"} [stage]
 * @property {string} [createdAt]
 * @property {string} [updatedAt]
 * @property {string} [issueUrl]
 * @property {number} [issueNumber]
 * @property {string} [prUrl]
 * @property {number} [prNumber]
 * @property {string} [mergeCommitSha]
 * @property {string} [error]
 * @property {string[]} [questions]
 * @property {Record<string, string[]>} [waitsFor]
 */

/**
 * Something in the summary other than `eventCount` and `updatedAt` changed. Only those who joined the task get
 * this message: it keeps title, status and links current for a client that has no list.
 * @typedef {object} Updated
 * @property {string} taskId
 * @property {TaskSummary} task
 */

/**
 * Always the first frame. `claims`: what the user has of the claims that `waitsFor` names.
 * @typedef {object} Welcome
 * @property {string} connectionId
 * @property {string} sub
 * @property {1} protocol
 * @property {number} heartbeatMs
 * @property {string} expiresAt
 * @property {Limits} limits
 * @property {Record<string, string[]>} [claims]
 */

/** @typedef {{type: "welcome", data: Welcome, at?: string, replyTo?: string}} WelcomeMessage */

/** @typedef {{type: "heartbeat", data: Heartbeat, at?: string, replyTo?: string}} HeartbeatMessage */

/** @typedef {{type: "pong", data: Pong, at?: string, replyTo?: string}} PongMessage */

/**
 * @typedef {{type: "dashboard:state",
 *   data: DashboardState,
 *   at?: string,
 *   replyTo?: string}} DashboardStateMessage
 */

/** @typedef {{type: "dashboard:left", data: DashboardLeft, at?: string, replyTo?: string}} DashboardLeftMessage */

/**
 * @template [E=AnyEvents]
 * @typedef {{type: "task:state", data: TaskState<E>, at?: string, replyTo?: string}} TaskStateMessage
 */

/** @typedef {{type: "task:left", data: TaskLeft, at?: string, replyTo?: string}} TaskLeftMessage */

/** @typedef {{type: "resync:done", data: ResyncDone, at?: string, replyTo?: string}} ResyncDoneMessage */

/** @typedef {{type: "task:created", data: Created, at?: string, replyTo?: string}} CreatedMessage */

/** @typedef {{type: "task:analyzing", data: Analyzing, at?: string, replyTo?: string}} AnalyzingMessage */

/**
 * @typedef {{type: "task:clarification_needed",
 *   data: ClarificationNeeded,
 *   at?: string,
 *   replyTo?: string}} ClarificationNeededMessage
 */

/** @typedef {{type: "task:dispatched", data: Dispatched, at?: string, replyTo?: string}} DispatchedMessage */

/** @typedef {{type: "task:pr_opened", data: PrOpened, at?: string, replyTo?: string}} PrOpenedMessage */

/** @typedef {{type: "task:pr_merged", data: PrMerged, at?: string, replyTo?: string}} PrMergedMessage */

/** @typedef {{type: "task:failed", data: Failed, at?: string, replyTo?: string}} FailedMessage */

/**
 * @template [E=AnyEvents]
 * @typedef {{type: "task:event_added", data: EventAdded<E>, at?: string, replyTo?: string}} EventAddedMessage
 */

/** @typedef {{type: "task:updated", data: Updated, at?: string, replyTo?: string}} UpdatedMessage */

/**
 * @typedef {{type: "dashboard:task_list_updated",
 *   data: ListUpserted | ListRemoved,
 *   at?: string,
 *   replyTo?: string}} ListUpdatedMessage
 */

/** @typedef {{type: "task:deleted", data: Deleted, at?: string, replyTo?: string}} DeletedMessage */

/** @typedef {{type: "task:revoked", data: Revoked, at?: string, replyTo?: string}} RevokedMessage */

/** @typedef {{type: "stream:status", data: StreamStatus, at?: string, replyTo?: string}} StreamStatusMessage */

/** @typedef {{type: "auth:expiring", data: AuthExpiring, at?: string, replyTo?: string}} AuthExpiringMessage */

/** @typedef {{type: "auth:ok", data: AuthOk, at?: string, replyTo?: string}} AuthOkMessage */

/** @typedef {{type: "server:draining", data: Draining, at?: string, replyTo?: string}} DrainingMessage */

/** @typedef {{type: "error", data: Error, at?: string, replyTo?: string}} ErrorMessage */

/**
 * Every message of the server, by its type.
 * @template [E=AnyEvents]
 * @typedef {{"welcome": WelcomeMessage,
 *   "heartbeat": HeartbeatMessage,
 *   "pong": PongMessage,
 *   "dashboard:state": DashboardStateMessage,
 *   "dashboard:left": DashboardLeftMessage,
 *   "task:state": TaskStateMessage<E>,
 *   "task:left": TaskLeftMessage,
 *   "resync:done": ResyncDoneMessage,
 *   "task:created": CreatedMessage,
 *   "task:analyzing": AnalyzingMessage,
 *   "task:clarification_needed": ClarificationNeededMessage,
 *   "task:dispatched": DispatchedMessage,
 *   "task:pr_opened": PrOpenedMessage,
 *   "task:pr_merged": PrMergedMessage,
 *   "task:failed": FailedMessage,
 *   "task:event_added": EventAddedMessage<E>,
 *   "task:updated": UpdatedMessage,
 *   "dashboard:task_list_updated": ListUpdatedMessage,
 *   "task:deleted": DeletedMessage,
 *   "task:revoked": RevokedMessage,
 *   "stream:status": StreamStatusMessage,
 *   "auth:expiring": AuthExpiringMessage,
 *   "auth:ok": AuthOkMessage,
 *   "server:draining": DrainingMessage,
 *   "error": ErrorMessage}} ServerMessages
 */

/** @typedef {keyof ServerMessages} MessageType */

/**
 * Everything that the server sends. A newer relay may send more: ignore a type that is not here.
 * @template [E=AnyEvents]
 * @typedef {ServerMessages<E>[MessageType]} ServerMessage
 */

/**
 * @template {MessageType} K
 * @template [E=AnyEvents]
 * @typedef {ServerMessages<E>[K]} MessageOf
 */

/**
 * @template {MessageType} K
 * @template [E=AnyEvents]
 * @typedef {ServerMessages<E>[K]["data"]} MessageData
 */

export {};

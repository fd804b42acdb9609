// @ts-check
// The messages and requests of the wire as types. scripts/generate writes this file from the declaration in
// relay/protocol/messages.py and polls.py: change that one.

/**
 * Work on the task began.
 * @typedef {object} Analyzing
 * @property {string} taskId
 * @property {string} [status]
 */

/**
 * Says who you are. Answered with `welcome` when it is the first frame, with `auth:ok` when it replaces the
 * token of a connection.
 * @typedef {object} Auth
 * @property {string} token
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
 * Whether live delivery is switched on for the user of the token, the public addresses at which this relay
 * serves WebSockets and polls, the version of the protocol, and the links of the mapping if it has any.
 * @typedef {object} ConfigAnswer
 * @property {boolean} enabled
 * @property {string} websocketUrl
 * @property {string} pollUrl
 * @property {number} protocol
 * @property {LinkTemplates} [links]
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
 * Identifies a summary or a list as it was sent.
 * @typedef {object} Etag
 * @property {string} etag
 */

/**
 * One element of a timeline. `data` is the whole sub-document as plain JSON.
 * @typedef {object} Event
 * @property {string | null} type
 * @property {string | null} at
 * @property {any} data
 */

/**
 * The next element of a task's timeline. `next` and `head` are the position after it.
 * @typedef {object} EventAdded
 * @property {string} taskId
 * @property {number} index
 * @property {Event | null} event
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
 * Where a page leads from a task: addresses with fields of its summary in braces, as in
 * `https://tracker.example/tasks/{taskId}`. `answer` is for one with questions, `retry` for one that failed.
 * @typedef {object} LinkTemplates
 * @property {string} [task]
 * @property {string} [answer]
 * @property {string} [retry]
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
 * Asks whether the connection works. Answered with `pong`.
 * @typedef {{}} Ping
 */

/**
 * What a client without a WebSocket asks again and again: the list, tasks (each once), or both. `moment` is the
 * greatest one of all answers.
 * @typedef {object} Poll
 * @property {PolledList} [dashboard]
 * @property {PolledTask[]} [tasks]
 * @property {string} [moment]
 */

/**
 * What is newer, as messages of the server, and what to send with the next poll: the etags and the moment.
 * `more`: the answer is full, and the next poll fetches the rest. `claims` is that of `welcome`.
 * @typedef {object} PollAnswer
 * @property {ServerMessage[]} messages
 * @property {Etag} [dashboard]
 * @property {Record<string, Etag>} [tasks]
 * @property {string} moment
 * @property {true} [more]
 * @property {Record<string, string[]>} [claims]
 */

/**
 * The list, unless it is still the one that has this etag. `updates: true` says that you apply
 * `dashboard:task_list_updated` to the list that you hold, so the answer may have only what changed.
 * @typedef {object} PolledList
 * @property {number} [limit]
 * @property {string | null} [etag]
 * @property {boolean} [updates]
 */

/**
 * A task, unless you hold it as it is: no event after this position, and the summary that has this etag.
 * `forbidden: true` says that you know you may not see the task: only its becoming visible is news.
 * @typedef {object} PolledTask
 * @property {string} taskId
 * @property {number | null} [since]
 * @property {string | null} [head]
 * @property {string | null} [etag]
 * @property {boolean} [forbidden]
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
 * Asks for the states of tasks without joining them. Answered with a `task:state` for each task that you may
 * see, then `resync:done`. For a joined task the state is part of the live order.
 * @typedef {object} Resync
 * @property {(string | TaskPosition)[]} taskIds
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
 * Leaves a task. Answered with `task:left`.
 * @typedef {object} TaskLeave
 * @property {string} taskId
 */

/**
 * The answer to `task:leave`.
 * @typedef {object} TaskLeft
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

/**
 * One page of a task, of at most 256 KiB: keep your first `from` events and replace everything after them
 * (section 6). `more` says that another page follows.
 * @typedef {object} TaskState
 * @property {number} from
 * @property {string} taskId
 * @property {TaskSummary} task
 * @property {(Event | null)[]} events
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

/** @typedef {{type: "task:state", data: TaskState, at?: string, replyTo?: string}} TaskStateMessage */

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

/** @typedef {{type: "task:event_added", data: EventAdded, at?: string, replyTo?: string}} EventAddedMessage */

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

/** @typedef {{type: "auth", data: Auth, id?: string | null}} AuthRequest */

/** @typedef {{type: "dashboard:join", data?: DashboardJoin, id?: string | null}} DashboardJoinRequest */

/** @typedef {{type: "dashboard:leave", data?: DashboardLeave, id?: string | null}} DashboardLeaveRequest */

/** @typedef {{type: "task:join", data: TaskPosition | TaskPositions, id?: string | null}} TaskJoinRequest */

/** @typedef {{type: "task:leave", data: TaskLeave, id?: string | null}} TaskLeaveRequest */

/** @typedef {{type: "resync_requested", data: Resync, id?: string | null}} ResyncRequest */

/** @typedef {{type: "ping", data?: Ping, id?: string | null}} PingRequest */

/**
 * Everything that the server sends.
 * @typedef {WelcomeMessage
 *   | HeartbeatMessage
 *   | PongMessage
 *   | DashboardStateMessage
 *   | DashboardLeftMessage
 *   | TaskStateMessage
 *   | TaskLeftMessage
 *   | ResyncDoneMessage
 *   | CreatedMessage
 *   | AnalyzingMessage
 *   | ClarificationNeededMessage
 *   | DispatchedMessage
 *   | PrOpenedMessage
 *   | PrMergedMessage
 *   | FailedMessage
 *   | EventAddedMessage
 *   | UpdatedMessage
 *   | ListUpdatedMessage
 *   | DeletedMessage
 *   | RevokedMessage
 *   | StreamStatusMessage
 *   | AuthExpiringMessage
 *   | AuthOkMessage
 *   | DrainingMessage
 *   | ErrorMessage} ServerMessage
 */

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

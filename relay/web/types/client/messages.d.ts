/**
 * Events of any type with any data. An application that knows its events names them in a type of its own, as in
 * `{note: {text: string}}`: the data by the type of the event.
 */
export type AnyEvents = Record<string, any>;
/**
 * Work on the task began.
 */
export type Analyzing = {
    taskId: string;
    status?: string | undefined;
};
/**
 * Your token expires soon: send a fresh one with `auth` before `expiresAt`.
 */
export type AuthExpiring = {
    expiresAt: string;
};
/**
 * A fresh token was accepted. It expires at `expiresAt`. `claims` is that of `welcome`, for the fresh token.
 */
export type AuthOk = {
    expiresAt: string;
    claims?: Record<string, string[]> | undefined;
};
/**
 * The task waits for answers.
 */
export type ClarificationNeeded = {
    taskId: string;
    status?: string | undefined;
    questions?: string[] | undefined;
};
/**
 * A task was inserted.
 */
export type Created = {
    taskId: string;
    title?: string | undefined;
    creator?: string | undefined;
    status?: string | undefined;
    createdAt?: string | undefined;
};
/**
 * The answer to `dashboard:leave`.
 */
export type DashboardLeft = {};
/**
 * One page of the list, of at most 256 KiB: newest first by `_id`, or in the mapping's `list_order`. The first
 * page has `reset: true`: drop the list you have. `more` says that another page follows.
 */
export type DashboardState = {
    tasks: TaskSummary[];
    reset: boolean;
    more: boolean;
};
/**
 * The task was deleted. You have left it.
 */
export type Deleted = {
    taskId: string;
};
/**
 * There is an issue for the task.
 */
export type Dispatched = {
    taskId: string;
    status?: string | undefined;
    issueUrl?: string | undefined;
    issueNumber?: number | undefined;
};
/**
 * A planned stop: reconnect `reconnectAfterMs` after the close. The relay spreads the values over its
 * connections.
 */
export type Draining = {
    reconnectAfterMs: number;
};
/**
 * A request was not done. `temporary` says whether the same request can succeed later.
 */
export type Error = {
    code: ErrorCode;
    message: string;
    temporary: boolean;
    taskId?: string | undefined;
    retryAfterMs?: number | undefined;
};
/**
 * The codes of an `error` message (section 5).
 */
export type ErrorCode = "bad_message" | "unknown_type" | "bad_request" | "forbidden" | "rate_limited" | "too_many_tasks" | "feature_disabled" | "unavailable" | "internal";
/**
 * One element of a timeline. `data` is the whole sub-document as plain JSON.
 */
export type Event<E = AnyEvents> = string extends keyof E ? {
    type: string | null;
    at: string | null;
    data: any;
} : { [K in keyof E & string]: {
    type: K;
    at: string | null;
    data: E[K];
}; }[keyof E & string];
/**
 * The next element of a task's timeline. `next` and `head` are the position after it.
 */
export type EventAdded<E = AnyEvents> = {
    taskId: string;
    index: number;
    event: Event<E> | null;
    next: number;
    head: string;
};
/**
 * The task failed.
 */
export type Failed = {
    taskId: string;
    status?: string | undefined;
    error?: string | undefined;
};
/**
 * Sent every `heartbeatMs` (25 s). A client that receives nothing for 2.5 × that is not connected.
 */
export type Heartbeat = {
    serverTime: string;
};
/**
 * The limits a `welcome` announces.
 */
export type Limits = {
    maxMessageBytes: number;
    messagesPerSecond: number;
    maxTasks: number;
};
/**
 * `deleted`, `revoked`: the task was deleted, or it is no longer visible to you. This message never waits, and
 * discards a change of the same task that waits.
 */
export type ListRemoved = {
    change: "deleted" | "revoked";
    taskId: string;
};
/**
 * `upserted`: something in the summary of a task changed, or the field that the mapping's `list_order` names, or
 * the task became visible to you. A change may wait up to `RELAY_LIST_UPDATE_MIN_INTERVAL_MS` after the last one
 * of its task, and a newer one replaces the one that waits. A task that became visible never waits.
 */
export type ListUpserted = {
    taskId: string;
    eventCount: number;
    title?: string | undefined;
    creator?: string | undefined;
    status?: string | undefined;
    stage?: "failed" | "analyzing" | "clarification_needed" | "dispatched" | "pr_opened" | "pr_merged" | undefined;
    createdAt?: string | undefined;
    updatedAt?: string | undefined;
    issueUrl?: string | undefined;
    issueNumber?: number | undefined;
    prUrl?: string | undefined;
    prNumber?: number | undefined;
    mergeCommitSha?: string | undefined;
    error?: string | undefined;
    questions?: string[] | undefined;
    waitsFor?: Record<string, string[]> | undefined;
    change: "upserted";
};
/**
 * The answer to `ping`.
 */
export type Pong = {
    serverTime: string;
};
/**
 * The pull request was merged.
 */
export type PrMerged = {
    taskId: string;
    status?: string | undefined;
    mergeCommitSha?: string | undefined;
};
/**
 * There is a pull request for the task.
 */
export type PrOpened = {
    taskId: string;
    status?: string | undefined;
    prUrl?: string | undefined;
    prNumber?: number | undefined;
};
/**
 * The end of the answer to `resync_requested`: the tasks whose states were sent, and those that you may not see.
 */
export type ResyncDone = {
    taskIds: string[];
    forbidden: string[];
};
/**
 * The task is no longer visible to you. You have left it.
 */
export type Revoked = {
    taskId: string;
};
/**
 * `stale`: the relay lost the database or fell behind it. `live`: it is current again. The conversation goes on
 * meanwhile. Follows `welcome` at once when the relay is stale.
 */
export type StreamStatus = {
    state: "live" | "stale";
    lagMs: number;
};
/**
 * The answer to `task:leave`.
 */
export type TaskLeft = {
    taskId: string;
};
/**
 * One page of a task, of at most 256 KiB: keep your first `from` events and replace everything after them
 * (section 6). `more` says that another page follows.
 */
export type TaskState<E = AnyEvents> = {
    from: number;
    taskId: string;
    task: TaskSummary;
    events: (Event<E> | null)[];
    next: number;
    head: string;
    reset: boolean;
    more: boolean;
};
/**
 * What a list shows of a task. A field is absent if the document has no value for it, and `stage` if the mapping
 * does not list the status. `waitsFor` says whom the task waits for: every user for whom at least one of these
 * claims has at least one of its values.
 */
export type TaskSummary = {
    taskId: string;
    eventCount: number;
    title?: string | undefined;
    creator?: string | undefined;
    status?: string | undefined;
    stage?: "failed" | "analyzing" | "clarification_needed" | "dispatched" | "pr_opened" | "pr_merged" | undefined;
    createdAt?: string | undefined;
    updatedAt?: string | undefined;
    issueUrl?: string | undefined;
    issueNumber?: number | undefined;
    prUrl?: string | undefined;
    prNumber?: number | undefined;
    mergeCommitSha?: string | undefined;
    error?: string | undefined;
    questions?: string[] | undefined;
    waitsFor?: Record<string, string[]> | undefined;
};
/**
 * Something in the summary other than `eventCount` and `updatedAt` changed. Only those who joined the task get
 * this message: it keeps title, status and links current for a client that has no list.
 */
export type Updated = {
    taskId: string;
    task: TaskSummary;
};
/**
 * Always the first frame. `claims`: what the user has of the claims that `waitsFor` names.
 */
export type Welcome = {
    connectionId: string;
    sub: string;
    protocol: 1;
    heartbeatMs: number;
    expiresAt: string;
    limits: Limits;
    claims?: Record<string, string[]> | undefined;
};
export type WelcomeMessage = {
    type: "welcome";
    data: Welcome;
    at?: string;
    replyTo?: string;
};
export type HeartbeatMessage = {
    type: "heartbeat";
    data: Heartbeat;
    at?: string;
    replyTo?: string;
};
export type PongMessage = {
    type: "pong";
    data: Pong;
    at?: string;
    replyTo?: string;
};
export type DashboardStateMessage = {
    type: "dashboard:state";
    data: DashboardState;
    at?: string;
    replyTo?: string;
};
export type DashboardLeftMessage = {
    type: "dashboard:left";
    data: DashboardLeft;
    at?: string;
    replyTo?: string;
};
export type TaskStateMessage<E = AnyEvents> = {
    type: "task:state";
    data: TaskState<E>;
    at?: string;
    replyTo?: string;
};
export type TaskLeftMessage = {
    type: "task:left";
    data: TaskLeft;
    at?: string;
    replyTo?: string;
};
export type ResyncDoneMessage = {
    type: "resync:done";
    data: ResyncDone;
    at?: string;
    replyTo?: string;
};
export type CreatedMessage = {
    type: "task:created";
    data: Created;
    at?: string;
    replyTo?: string;
};
export type AnalyzingMessage = {
    type: "task:analyzing";
    data: Analyzing;
    at?: string;
    replyTo?: string;
};
export type ClarificationNeededMessage = {
    type: "task:clarification_needed";
    data: ClarificationNeeded;
    at?: string;
    replyTo?: string;
};
export type DispatchedMessage = {
    type: "task:dispatched";
    data: Dispatched;
    at?: string;
    replyTo?: string;
};
export type PrOpenedMessage = {
    type: "task:pr_opened";
    data: PrOpened;
    at?: string;
    replyTo?: string;
};
export type PrMergedMessage = {
    type: "task:pr_merged";
    data: PrMerged;
    at?: string;
    replyTo?: string;
};
export type FailedMessage = {
    type: "task:failed";
    data: Failed;
    at?: string;
    replyTo?: string;
};
export type EventAddedMessage<E = AnyEvents> = {
    type: "task:event_added";
    data: EventAdded<E>;
    at?: string;
    replyTo?: string;
};
export type UpdatedMessage = {
    type: "task:updated";
    data: Updated;
    at?: string;
    replyTo?: string;
};
export type ListUpdatedMessage = {
    type: "dashboard:task_list_updated";
    data: ListUpserted | ListRemoved;
    at?: string;
    replyTo?: string;
};
export type DeletedMessage = {
    type: "task:deleted";
    data: Deleted;
    at?: string;
    replyTo?: string;
};
export type RevokedMessage = {
    type: "task:revoked";
    data: Revoked;
    at?: string;
    replyTo?: string;
};
export type StreamStatusMessage = {
    type: "stream:status";
    data: StreamStatus;
    at?: string;
    replyTo?: string;
};
export type AuthExpiringMessage = {
    type: "auth:expiring";
    data: AuthExpiring;
    at?: string;
    replyTo?: string;
};
export type AuthOkMessage = {
    type: "auth:ok";
    data: AuthOk;
    at?: string;
    replyTo?: string;
};
export type DrainingMessage = {
    type: "server:draining";
    data: Draining;
    at?: string;
    replyTo?: string;
};
export type ErrorMessage = {
    type: "error";
    data: Error;
    at?: string;
    replyTo?: string;
};
/**
 * Every message of the server, by its type.
 */
export type ServerMessages<E = AnyEvents> = {
    "welcome": WelcomeMessage;
    "heartbeat": HeartbeatMessage;
    "pong": PongMessage;
    "dashboard:state": DashboardStateMessage;
    "dashboard:left": DashboardLeftMessage;
    "task:state": TaskStateMessage<E>;
    "task:left": TaskLeftMessage;
    "resync:done": ResyncDoneMessage;
    "task:created": CreatedMessage;
    "task:analyzing": AnalyzingMessage;
    "task:clarification_needed": ClarificationNeededMessage;
    "task:dispatched": DispatchedMessage;
    "task:pr_opened": PrOpenedMessage;
    "task:pr_merged": PrMergedMessage;
    "task:failed": FailedMessage;
    "task:event_added": EventAddedMessage<E>;
    "task:updated": UpdatedMessage;
    "dashboard:task_list_updated": ListUpdatedMessage;
    "task:deleted": DeletedMessage;
    "task:revoked": RevokedMessage;
    "stream:status": StreamStatusMessage;
    "auth:expiring": AuthExpiringMessage;
    "auth:ok": AuthOkMessage;
    "server:draining": DrainingMessage;
    "error": ErrorMessage;
};
export type MessageType = keyof ServerMessages;
/**
 * Everything that the server sends. A newer relay may send more: ignore a type that is not here.
 */
export type ServerMessage<E = AnyEvents> = ServerMessages<E>[MessageType];
export type MessageOf<K extends MessageType, E = AnyEvents> = ServerMessages<E>[K];
export type MessageData<K extends MessageType, E = AnyEvents> = ServerMessages<E>[K]["data"];

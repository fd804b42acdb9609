/**
 * Work on the task began.
 */
export type Analyzing = {
    taskId: string;
    status?: string | undefined;
};
/**
 * Says who you are. Answered with `welcome` when it is the first frame, with `auth:ok` when it replaces the
 * token of a connection.
 */
export type Auth = {
    token: string;
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
 * Whether live delivery is switched on for the user of the token, the public addresses at which this relay
 * serves WebSockets and polls, the version of the protocol, and the links of the mapping if it has any.
 */
export type ConfigAnswer = {
    enabled: boolean;
    websocketUrl: string;
    pollUrl: string;
    protocol: number;
    links?: LinkTemplates | undefined;
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
 * Joins the list. Answered with `dashboard:state`, then live messages. `limit` bounds the state, not what is
 * live.
 */
export type DashboardJoin = {
    limit?: number | undefined;
};
/**
 * Leaves the list. Answered with `dashboard:left`.
 */
export type DashboardLeave = {};
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
 * Identifies a summary or a list as it was sent.
 */
export type Etag = {
    etag: string;
};
/**
 * One element of a timeline. `data` is the whole sub-document as plain JSON.
 */
export type Event = {
    type: string | null;
    at: string | null;
    data: any;
};
/**
 * The next element of a task's timeline. `next` and `head` are the position after it.
 */
export type EventAdded = {
    taskId: string;
    index: number;
    event: Event | null;
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
 * Where a page leads from a task: addresses with fields of its summary in braces, as in
 * `https://tracker.example/tasks/{taskId}`. `answer` is for one with questions, `retry` for one that failed.
 */
export type LinkTemplates = {
    task?: string | undefined;
    answer?: string | undefined;
    retry?: string | undefined;
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
 * Asks whether the connection works. Answered with `pong`.
 */
export type Ping = {};
/**
 * What a client without a WebSocket asks again and again: the list, tasks (each once), or both. `moment` is the
 * greatest one of all answers.
 */
export type Poll = {
    dashboard?: PolledList | undefined;
    tasks?: PolledTask[] | undefined;
    moment?: string | undefined;
};
/**
 * What is newer, as messages of the server, and what to send with the next poll: the etags and the moment.
 * `more`: the answer is full, and the next poll fetches the rest. `claims` is that of `welcome`.
 */
export type PollAnswer = {
    messages: ServerMessage[];
    dashboard?: Etag | undefined;
    tasks?: Record<string, Etag> | undefined;
    moment: string;
    more?: true | undefined;
    claims?: Record<string, string[]> | undefined;
};
/**
 * The list, unless it is still the one that has this etag. `updates: true` says that you apply
 * `dashboard:task_list_updated` to the list that you hold, so the answer may have only what changed.
 */
export type PolledList = {
    limit?: number | undefined;
    etag?: string | null | undefined;
    updates?: boolean | undefined;
};
/**
 * A task, unless you hold it as it is: no event after this position, and the summary that has this etag.
 * `forbidden: true` says that you know you may not see the task: only its becoming visible is news.
 */
export type PolledTask = {
    taskId: string;
    since?: number | null | undefined;
    head?: string | null | undefined;
    etag?: string | null | undefined;
    forbidden?: boolean | undefined;
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
 * Asks for the states of tasks without joining them. Answered with a `task:state` for each task that you may
 * see, then `resync:done`. For a joined task the state is part of the live order.
 */
export type Resync = {
    taskIds: (string | TaskPosition)[];
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
 * Leaves a task. Answered with `task:left`.
 */
export type TaskLeave = {
    taskId: string;
};
/**
 * The answer to `task:leave`.
 */
export type TaskLeft = {
    taskId: string;
};
/**
 * A task, and the position up to which you hold its events. `since` counts only together with `head`.
 */
export type TaskPosition = {
    taskId: string;
    since?: number | null | undefined;
    head?: string | null | undefined;
};
/**
 * Several tasks in one request.
 */
export type TaskPositions = {
    tasks: TaskPosition[];
};
/**
 * One page of a task, of at most 256 KiB: keep your first `from` events and replace everything after them
 * (section 6). `more` says that another page follows.
 */
export type TaskState = {
    from: number;
    taskId: string;
    task: TaskSummary;
    events: (Event | null)[];
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
export type TaskStateMessage = {
    type: "task:state";
    data: TaskState;
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
export type EventAddedMessage = {
    type: "task:event_added";
    data: EventAdded;
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
export type AuthRequest = {
    type: "auth";
    data: Auth;
    id?: string | null;
};
export type DashboardJoinRequest = {
    type: "dashboard:join";
    data?: DashboardJoin;
    id?: string | null;
};
export type DashboardLeaveRequest = {
    type: "dashboard:leave";
    data?: DashboardLeave;
    id?: string | null;
};
export type TaskJoinRequest = {
    type: "task:join";
    data: TaskPosition | TaskPositions;
    id?: string | null;
};
export type TaskLeaveRequest = {
    type: "task:leave";
    data: TaskLeave;
    id?: string | null;
};
export type ResyncRequest = {
    type: "resync_requested";
    data: Resync;
    id?: string | null;
};
export type PingRequest = {
    type: "ping";
    data?: Ping;
    id?: string | null;
};
/**
 * Everything that the server sends.
 */
export type ServerMessage = WelcomeMessage | HeartbeatMessage | PongMessage | DashboardStateMessage | DashboardLeftMessage | TaskStateMessage | TaskLeftMessage | ResyncDoneMessage | CreatedMessage | AnalyzingMessage | ClarificationNeededMessage | DispatchedMessage | PrOpenedMessage | PrMergedMessage | FailedMessage | EventAddedMessage | UpdatedMessage | ListUpdatedMessage | DeletedMessage | RevokedMessage | StreamStatusMessage | AuthExpiringMessage | AuthOkMessage | DrainingMessage | ErrorMessage;
/**
 * Everything that a client may send.
 */
export type ClientMessage = AuthRequest | DashboardJoinRequest | DashboardLeaveRequest | TaskJoinRequest | TaskLeaveRequest | ResyncRequest | PingRequest;

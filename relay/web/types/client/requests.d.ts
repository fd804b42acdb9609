/**
 * Says who you are. Answered with `welcome` when it is the first frame, with `auth:ok` when it replaces the
 * token of a connection.
 */
export type Auth = {
    token: string;
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
 * Asks whether the connection works. Answered with `pong`.
 */
export type Ping = {};
/**
 * Asks for the states of tasks without joining them. Answered with a `task:state` for each task that you may
 * see, then `resync:done`. For a joined task the state is part of the live order.
 */
export type Resync = {
    taskIds: (string | TaskPosition)[];
};
/**
 * Leaves a task. Answered with `task:left`.
 */
export type TaskLeave = {
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
 * Everything that a client may send.
 */
export type ClientMessage = AuthRequest | DashboardJoinRequest | DashboardLeaveRequest | TaskJoinRequest | TaskLeaveRequest | ResyncRequest | PingRequest;

"""The data of every message and request as types. Pure.

PROTOCOL.md is the contract, and this its spelling; `schema.py` makes a JSON Schema of it. Rules of this file: a
class is named as its member of `Kind` or `Request`, a field as on the wire; a pair in an `Annotated` is a keyword of
JSON Schema that says more than the type.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from relay.protocol.requests import MAX_HEAD
from relay.protocol.types import (
    DASHBOARD_LIMIT_MAX,
    MAX_BATCH,
    VERSION,
    ErrorCode,
    Event,
    Kind,
    Limits,
    Request,
    StreamState,
    TaskSummary,
    Time,
)

Count = Annotated[int, ("minimum", 0)]
Head = Annotated[str, ("maxLength", MAX_HEAD)]
Limit = Annotated[int, ("minimum", 1), ("maximum", DASHBOARD_LIMIT_MAX)]
Moment = Annotated[str, ("pattern", r"^\d+\.\d+$")]
ServerMessage = Annotated[dict[str, Any], ("$ref", "#/$defs/ServerMessage")]  # any of SERVER, in its envelope


# What the server sends (PROTOCOL.md 5).


class Welcome(TypedDict):
    """Always the first frame."""

    connectionId: str
    sub: str
    protocol: Annotated[int, ("const", VERSION)]
    heartbeatMs: Count
    expiresAt: Time
    limits: Limits


class Heartbeat(TypedDict):
    """The connection lives, and this is the relay's clock."""

    serverTime: Time


class Pong(TypedDict):
    """The answer to `ping`."""

    serverTime: Time


class DashboardState(TypedDict):
    """One page of the list, newest first; with `reset`, drop what you had; `more` says another page follows."""

    tasks: list[TaskSummary]
    reset: bool
    more: bool


class DashboardLeft(TypedDict):
    """The answer to `dashboard:leave`."""


_From = TypedDict("_From", {"from": Count})  # a name that Python keeps for itself


class TaskState(_From):
    """One page of a task: keep your first `from` events, replace everything after them."""

    taskId: str
    task: TaskSummary
    events: list[Event | None]
    next: Count
    head: Head
    reset: bool
    more: bool


class TaskLeft(TypedDict):
    """The answer to `task:leave`."""

    taskId: str


class ResyncDone(TypedDict):
    """The end of the answer to `resync_requested`."""

    taskIds: list[str]
    forbidden: list[str]


class Created(TypedDict):
    """A task was inserted."""

    taskId: str
    title: NotRequired[str]
    creator: NotRequired[str]
    status: NotRequired[str]
    createdAt: NotRequired[Time]


class Analyzing(TypedDict):
    """A hint for the moment: work on the task began."""

    taskId: str
    status: NotRequired[str]


class ClarificationNeeded(TypedDict):
    """A hint for the moment: the task waits for answers."""

    taskId: str
    status: NotRequired[str]
    questions: NotRequired[list[str]]


class Dispatched(TypedDict):
    """A hint for the moment: there is an issue."""

    taskId: str
    status: NotRequired[str]
    issueUrl: NotRequired[str]
    issueNumber: NotRequired[int]


class PrOpened(TypedDict):
    """A hint for the moment: there is a pull request."""

    taskId: str
    status: NotRequired[str]
    prUrl: NotRequired[str]
    prNumber: NotRequired[int]


class PrMerged(TypedDict):
    """A hint for the moment: the pull request was merged."""

    taskId: str
    status: NotRequired[str]
    mergeCommitSha: NotRequired[str]


class Failed(TypedDict):
    """A hint for the moment: the task failed."""

    taskId: str
    status: NotRequired[str]
    error: NotRequired[str]


class EventAdded(TypedDict):
    """The next element of a task's timeline; `next` and `head` are the position after it."""

    taskId: str
    index: Count
    event: Event | None
    next: Count
    head: Head


class Updated(TypedDict):
    """Something of the summary but `eventCount` and `updatedAt` changed."""

    taskId: str
    task: TaskSummary


class ListUpserted(TaskSummary):
    """A task is in the list, as it is now."""

    change: Literal["upserted"]


class ListRemoved(TypedDict):
    """A task is not in the list any more: gone for everyone, or no longer visible to you."""

    change: Literal["deleted", "revoked"]
    taskId: str


ListUpdated = ListUpserted | ListRemoved


class Deleted(TypedDict):
    """The task is gone for everyone; you have left it."""

    taskId: str


class Revoked(TypedDict):
    """The task is no longer visible to you; you have left it."""

    taskId: str


class StreamStatus(TypedDict):
    """Is what the relay shows current?"""

    state: StreamState
    lagMs: Count


class AuthExpiring(TypedDict):
    """Send a fresh token before then."""

    expiresAt: Time


class AuthOk(TypedDict):
    """A fresh token was accepted."""

    expiresAt: Time


class Draining(TypedDict):
    """A planned stop: come back so long after the close."""

    reconnectAfterMs: Count


class Error(TypedDict):
    """A request that was not done; `temporary` says whether the same one can succeed later."""

    code: ErrorCode
    message: str
    temporary: bool
    taskId: NotRequired[str]
    retryAfterMs: NotRequired[Count]


# What a client sends (PROTOCOL.md 4).


class Auth(TypedDict):
    """Who is speaking: as the first frame, or afresh before the old token expires."""

    token: Annotated[str, ("minLength", 1)]


class DashboardJoin(TypedDict):
    """The list, and every change of it."""

    limit: NotRequired[Limit]


class DashboardLeave(TypedDict):
    """No list any more."""


class Wanted(TypedDict):
    """A task, and how far it is held: `since` counts only together with `head`."""

    taskId: str
    since: NotRequired[Count]
    head: NotRequired[Head]


class WantedTasks(TypedDict):
    """Several tasks in one request."""

    tasks: Annotated[list[Wanted], ("minItems", 1), ("maxItems", MAX_BATCH)]


TaskJoin = Wanted | WantedTasks


class TaskLeave(TypedDict):
    """No events of this task any more."""

    taskId: str


class Resync(TypedDict):
    """The states of these tasks, without joining them."""

    taskIds: Annotated[list[str | Wanted], ("maxItems", MAX_BATCH)]


class Ping(TypedDict):
    """Answered with `pong`."""


# The bodies of `POST /poll` (PROTOCOL.md 8).


class Etag(TypedDict):
    """Stands for a summary or a list as it was sent."""

    etag: str


class PolledList(TypedDict):
    """The list, unless it is still as this etag says."""

    limit: NotRequired[Limit]
    etag: NotRequired[str]


class PolledTask(Wanted):
    """A task, unless nothing is newer than this; `forbidden`: we were told so already."""

    etag: NotRequired[str]
    forbidden: NotRequired[bool]


class Poll(TypedDict):
    """What somebody without a WebSocket asks again and again."""

    dashboard: NotRequired[PolledList]
    tasks: NotRequired[Annotated[list[PolledTask], ("maxItems", MAX_BATCH)]]
    moment: NotRequired[Moment]


class PollAnswer(TypedDict):
    """What is newer, as messages of the server, and what to send with the next poll."""

    messages: list[ServerMessage]
    dashboard: NotRequired[Etag]
    tasks: NotRequired[dict[str, Etag]]
    moment: Moment
    more: NotRequired[Literal[True]]


SERVER: dict[Kind, Any] = {
    Kind.WELCOME: Welcome,
    Kind.HEARTBEAT: Heartbeat,
    Kind.PONG: Pong,
    Kind.DASHBOARD_STATE: DashboardState,
    Kind.DASHBOARD_LEFT: DashboardLeft,
    Kind.TASK_STATE: TaskState,
    Kind.TASK_LEFT: TaskLeft,
    Kind.RESYNC_DONE: ResyncDone,
    Kind.CREATED: Created,
    Kind.ANALYZING: Analyzing,
    Kind.CLARIFICATION_NEEDED: ClarificationNeeded,
    Kind.DISPATCHED: Dispatched,
    Kind.PR_OPENED: PrOpened,
    Kind.PR_MERGED: PrMerged,
    Kind.FAILED: Failed,
    Kind.EVENT_ADDED: EventAdded,
    Kind.UPDATED: Updated,
    Kind.LIST_UPDATED: ListUpdated,
    Kind.DELETED: Deleted,
    Kind.REVOKED: Revoked,
    Kind.STREAM_STATUS: StreamStatus,
    Kind.AUTH_EXPIRING: AuthExpiring,
    Kind.AUTH_OK: AuthOk,
    Kind.DRAINING: Draining,
    Kind.ERROR: Error,
}
CLIENT: dict[Request, Any] = {
    Request.AUTH: Auth,
    Request.DASHBOARD_JOIN: DashboardJoin,
    Request.DASHBOARD_LEAVE: DashboardLeave,
    Request.TASK_JOIN: TaskJoin,
    Request.TASK_LEAVE: TaskLeave,
    Request.RESYNC: Resync,
    Request.PING: Ping,
}

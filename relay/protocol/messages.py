"""Every message and request of the wire, declared once. Pure.

These are made from this declaration, and from that of polls in `polls.py`: the validation of requests (`requests.py`),
the JSON Schema and the AsyncAPI document (`schema.py`), and, by `scripts/generate`, the tables of PROTOCOL.md, the
types of the browser client and the methods of the Python client for each type. Rules of this file:

- A class is named after its member of `Kind` or `Request`.
- What the server sends is a `TypedDict`, because the relay builds it as a dict. Its fields are named as on the wire.
- What a client sends is a frozen dataclass, because the relay reads it. An alias gives the name on the wire.
- A docstring is published, as the description in the schema and as the text in the table. It speaks to people who
  write a client.
- A type says `strict=True` where pydantic would convert: `"5"`, `5.0` and `true` are no integers.

Only requests are validated. What the relay itself sends is compared with the schema by tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Discriminator, FailFast, Field, Tag
from typing_extensions import TypedDict

from relay.protocol.types import (
    DASHBOARD_LIMIT_DEFAULT,
    DASHBOARD_LIMIT_MAX,
    MAX_BATCH,
    MAX_REQUEST_ID,
    VERSION,
    Claims,
    ErrorCode,
    Event,
    Kind,
    Limits,
    Request,
    StreamState,
    TaskSummary,
    Time,
)

MAX_HEAD = 128  # characters
MAX_TOKEN = 64 * 1024  # characters
RULE = "rule"  # the type of a validation error whose message is a sentence for the client as it is

Count = Annotated[int, Field(strict=True, ge=0)]
Head = Annotated[str, Field(max_length=MAX_HEAD)]
ListLength = Annotated[int, Field(strict=True, ge=1, le=DASHBOARD_LIMIT_MAX)]


# What the server sends (PROTOCOL.md section 5).


class Welcome(TypedDict):
    """Always the first frame. `claims`: what the user has of the claims that `waitsFor` names."""

    connectionId: str
    sub: str
    protocol: Annotated[int, Field(json_schema_extra={"const": VERSION})]
    heartbeatMs: Count
    expiresAt: Time
    limits: Limits
    claims: NotRequired[Claims]


class Heartbeat(TypedDict):
    """Sent every `heartbeatMs` (25 s). A client that receives nothing for 2.5 × that is not connected."""

    serverTime: Time


class Pong(TypedDict):
    """The answer to `ping`."""

    serverTime: Time


class DashboardState(TypedDict):
    """One page of the list, of at most 256 KiB: newest first by `_id`, or in the mapping's `list_order`. The first
    page has `reset: true`: drop the list you have. `more` says that another page follows."""

    tasks: list[TaskSummary]
    reset: bool
    more: bool


class DashboardLeft(TypedDict):
    """The answer to `dashboard:leave`."""


_From = TypedDict(
    "_From", {"from": Count}
)  # `from` is a keyword of Python, so it cannot be a field of a class


class TaskState(_From):
    """One page of a task, of at most 256 KiB: keep your first `from` events and replace everything after them
    (section 6). `more` says that another page follows."""

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
    """The end of the answer to `resync_requested`: the tasks whose states were sent, and those that you may not
    see."""

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
    """Work on the task began."""

    taskId: str
    status: NotRequired[str]


class ClarificationNeeded(TypedDict):
    """The task waits for answers."""

    taskId: str
    status: NotRequired[str]
    questions: NotRequired[list[str]]


class Dispatched(TypedDict):
    """There is an issue for the task."""

    taskId: str
    status: NotRequired[str]
    issueUrl: NotRequired[str]
    issueNumber: NotRequired[int]


class PrOpened(TypedDict):
    """There is a pull request for the task."""

    taskId: str
    status: NotRequired[str]
    prUrl: NotRequired[str]
    prNumber: NotRequired[int]


class PrMerged(TypedDict):
    """The pull request was merged."""

    taskId: str
    status: NotRequired[str]
    mergeCommitSha: NotRequired[str]


class Failed(TypedDict):
    """The task failed."""

    taskId: str
    status: NotRequired[str]
    error: NotRequired[str]


class EventAdded(TypedDict):
    """The next element of a task's timeline. `next` and `head` are the position after it."""

    taskId: str
    index: Count
    event: Event | None
    next: Count
    head: Head


class Updated(TypedDict):
    """Something in the summary other than `eventCount` and `updatedAt` changed. Only those who joined the task get
    this message: it keeps title, status and links current for a client that has no list."""

    taskId: str
    task: TaskSummary


class ListUpserted(TaskSummary):
    """`upserted`: something in the summary of a task changed, or the field that the mapping's `list_order` names, or
    the task became visible to you. A change may wait up to `RELAY_LIST_UPDATE_MIN_INTERVAL_MS` after the last one of
    its task, and a newer one replaces the one that waits. A task that became visible never waits."""

    change: Literal["upserted"]


class ListRemoved(TypedDict):
    """`deleted`, `revoked`: the task was deleted, or it is no longer visible to you. This message never waits, and
    discards a change of the same task that waits."""

    change: Literal["deleted", "revoked"]
    taskId: str


ListUpdated = ListUpserted | ListRemoved


class Deleted(TypedDict):
    """The task was deleted. You have left it."""

    taskId: str


class Revoked(TypedDict):
    """The task is no longer visible to you. You have left it."""

    taskId: str


class StreamStatus(TypedDict):
    """`stale`: the relay lost the database or fell behind it. `live`: it is current again. The conversation goes on
    meanwhile. Follows `welcome` at once when the relay is stale."""

    state: StreamState
    lagMs: Count


class AuthExpiring(TypedDict):
    """Your token expires soon: send a fresh one with `auth` before `expiresAt`."""

    expiresAt: Time


class AuthOk(TypedDict):
    """A fresh token was accepted. It expires at `expiresAt`. `claims` is that of `welcome`, for the fresh token."""

    expiresAt: Time
    claims: NotRequired[Claims]


class Draining(TypedDict):
    """A planned stop: reconnect `reconnectAfterMs` after the close. The relay spreads the values over its
    connections."""

    reconnectAfterMs: Count


class Error(TypedDict):
    """A request was not done. `temporary` says whether the same request can succeed later."""

    code: ErrorCode
    message: str
    temporary: bool
    taskId: NotRequired[str]
    retryAfterMs: NotRequired[Count]


# What a client sends (PROTOCOL.md section 4). Null is read as absent where the type of a field allows None.

# Its length has no limit but that of the frame: every string is the `_id` of some document.
_TaskId = Annotated[str, Field(alias="taskId")]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One text frame of a client. `data` is validated later, by `type`."""

    type: str
    id: Annotated[str, Field(max_length=MAX_REQUEST_ID)] | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Auth:
    """Says who you are. Answered with `welcome` when it is the first frame, with `auth:ok` when it replaces the
    token of a connection."""

    token: Annotated[str, Field(min_length=1, max_length=MAX_TOKEN)]


@dataclass(frozen=True, slots=True)
class DashboardJoin:
    """Joins the list. Answered with `dashboard:state`, then live messages. `limit` bounds the state, not what is
    live."""

    limit: ListLength = DASHBOARD_LIMIT_DEFAULT


@dataclass(frozen=True, slots=True)
class DashboardLeave:
    """Leaves the list. Answered with `dashboard:left`."""


@dataclass(frozen=True, slots=True)
class TaskPosition:
    """A task, and the position up to which you hold its events. `since` counts only together with `head`."""

    task_id: _TaskId
    since: Count | None = None
    head: Head | None = None


@dataclass(frozen=True, slots=True)
class TaskPositions:
    """Several tasks in one request."""

    tasks: Annotated[tuple[TaskPosition, ...], Field(min_length=1, max_length=MAX_BATCH), FailFast()]


# A tag stands in angle brackets, because pydantic puts it into the path of an error and it is no part of the JSON.
def _join_form(data: dict[str, Any]) -> str | None:
    if "tasks" not in data:
        return "<one>"
    return None if "taskId" in data else "<several>"


TaskJoin = Annotated[
    Annotated[TaskPosition, Tag("<one>")] | Annotated[TaskPositions, Tag("<several>")],
    Discriminator(
        _join_form,
        custom_error_type=RULE,
        custom_error_message='expected either "taskId" or "tasks", not both',
    ),
    Field(
        description="Joins one task, or several. Answered with a `task:state` for each task or an `error` that names "
        "it, then live messages. A second join of a joined task is answered with a fresh state.",
        json_schema_extra={"not": {"required": ["taskId", "tasks"]}},
    ),
]


@dataclass(frozen=True, slots=True)
class TaskLeave:
    """Leaves a task. Answered with `task:left`."""

    task_id: _TaskId


def _json_type(value: Any) -> str | None:
    return "<string>" if isinstance(value, str) else "<object>" if isinstance(value, dict) else None


_IdOrPosition = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[TaskPosition, Tag("<object>")], Discriminator(_json_type)
]


@dataclass(frozen=True, slots=True)
class Resync:
    """Asks for the states of tasks without joining them. Answered with a `task:state` for each task that you may
    see, then `resync:done`. For a joined task the state is part of the live order."""

    task_ids: Annotated[tuple[_IdOrPosition, ...], Field(alias="taskIds", max_length=MAX_BATCH), FailFast()]

    def positions(self) -> list[TaskPosition]:
        """Return the tasks as positions. A bare id is a position with no events."""
        return [TaskPosition(one) if isinstance(one, str) else one for one in self.task_ids]


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks whether the connection works. Answered with `pong`."""


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

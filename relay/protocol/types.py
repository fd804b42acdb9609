"""The vocabulary of the wire protocol: message types, close codes, limits. Pure.

PROTOCOL.md is the contract, and its sections are the numbers below. This module spells its names in Python;
`messages.py` declares the data of each message. Rules of this file: names are those of the wire; nothing here knows
MongoDB or sockets; a value that is missing is absent from the JSON, never null or "".
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal, NotRequired, get_args

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads the one of `typing` from Python 3.12 on only

VERSION = 1
SUBPROTOCOL = "relay.v1"
BEARER_PREFIX = "bearer."
PAGE_BYTES = 256 * 1024  # a state is sent in pages of at most this size, except for one larger event
MAX_BATCH = 100  # tasks in one task:join or resync_requested
DASHBOARD_LIMIT_DEFAULT = 500
DASHBOARD_LIMIT_MAX = 5000
MAX_REQUEST_ID = 64  # characters


class Request(StrEnum):
    """The types of requests, which clients send (section 4)."""

    AUTH = "auth"
    DASHBOARD_JOIN = "dashboard:join"
    DASHBOARD_LEAVE = "dashboard:leave"
    TASK_JOIN = "task:join"
    TASK_LEAVE = "task:leave"
    RESYNC = "resync_requested"
    PING = "ping"


class Kind(StrEnum):
    """The types of messages, which the server sends (section 5)."""

    WELCOME = "welcome"
    HEARTBEAT = "heartbeat"
    PONG = "pong"
    DASHBOARD_STATE = "dashboard:state"
    DASHBOARD_LEFT = "dashboard:left"
    TASK_STATE = "task:state"
    TASK_LEFT = "task:left"
    RESYNC_DONE = "resync:done"
    CREATED = "task:created"
    ANALYZING = "task:analyzing"
    CLARIFICATION_NEEDED = "task:clarification_needed"
    DISPATCHED = "task:dispatched"
    PR_OPENED = "task:pr_opened"
    PR_MERGED = "task:pr_merged"
    FAILED = "task:failed"
    EVENT_ADDED = "task:event_added"
    UPDATED = "task:updated"
    LIST_UPDATED = "dashboard:task_list_updated"
    DELETED = "task:deleted"
    REVOKED = "task:revoked"
    STREAM_STATUS = "stream:status"
    AUTH_EXPIRING = "auth:expiring"
    AUTH_OK = "auth:ok"
    DRAINING = "server:draining"
    ERROR = "error"


class Close(IntEnum):
    """Close codes (section 7). After 4000–4499 a client reconnects (after 4401 and 4403 with another token), after
    4500–4999 it does not."""

    DONE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    BINARY = 1003
    INVALID_TEXT = 1007
    PROTOCOL_ABUSE = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    UNAUTHENTICATED = 4401
    DISCONNECTED = 4403  # an operator has disconnected the user
    TIMEOUT = 4408
    RATE_LIMITED = 4429
    AT_CAPACITY = 4430
    BAD_HANDSHAKE = 4500
    FEATURE_DISABLED = 4502


ABNORMAL = 1006  # RFC 6455 7.1.5: the connection ended without a close frame. It is never sent.


class ErrorCode(StrEnum):
    """The codes of an `error` message (section 5)."""

    BAD_MESSAGE = "bad_message"
    UNKNOWN_TYPE = "unknown_type"
    BAD_REQUEST = "bad_request"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_TASKS = "too_many_tasks"
    FEATURE_DISABLED = "feature_disabled"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


# The same request may succeed later.
TEMPORARY_ERRORS = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.UNAVAILABLE, ErrorCode.INTERNAL})


# RFC 3339 UTC with milliseconds, as `rfc3339` writes it.
Time = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$", json_schema_extra={"format": "date-time"}
    ),
]


# What a task's status means in this deployment's mapping: the type of a lifecycle message without its "task:".
Stage = Literal["analyzing", "clarification_needed", "dispatched", "pr_opened", "pr_merged", "failed"]


# Values of claims by the name of the claim: whom a task waits for, or what a user has.
Claims = dict[str, list[str]]


class TaskSummary(TypedDict):
    """What a list shows of a task. A field is absent if the document has no value for it, and `stage` if the mapping
    does not list the status. `waitsFor` says whom the task waits for: every user for whom at least one of these claims
    has at least one of its values."""

    taskId: str
    eventCount: int
    title: NotRequired[str]
    creator: NotRequired[str]
    status: NotRequired[str]
    stage: NotRequired[Stage]
    createdAt: NotRequired[Time]
    updatedAt: NotRequired[Time]
    issueUrl: NotRequired[str]
    issueNumber: NotRequired[int]
    prUrl: NotRequired[str]
    prNumber: NotRequired[int]
    mergeCommitSha: NotRequired[str]
    error: NotRequired[str]
    questions: NotRequired[list[str]]
    waitsFor: NotRequired[Claims]


class Event(TypedDict):
    """One element of a timeline. `data` is the whole sub-document as plain JSON."""

    type: str | None
    at: Time | None
    data: Any


class Limits(TypedDict):
    """The limits a `welcome` announces."""

    maxMessageBytes: int
    messagesPerSecond: int
    maxTasks: int


StreamState = Literal["live", "stale"]

# The fields of each lifecycle message besides taskId and status, in the order of section 5.
LIFECYCLE_FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.ANALYZING: (),
    Kind.CLARIFICATION_NEEDED: ("questions",),
    Kind.DISPATCHED: ("issueUrl", "issueNumber"),
    Kind.PR_OPENED: ("prUrl", "prNumber"),
    Kind.PR_MERGED: ("mergeCommitSha",),
    Kind.FAILED: ("error",),
}
STAGES: dict[Kind, Stage] = {Kind(f"task:{stage}"): stage for stage in get_args(Stage)}
KINDS: dict[str, Kind] = {stage: kind for kind, stage in STAGES.items()}
CREATED_FIELDS = ("title", "creator", "status", "createdAt")


def rfc3339(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC with milliseconds. A naive datetime is taken as UTC, because BSON dates are."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"

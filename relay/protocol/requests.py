"""What a client asks for, read and checked. Pure.

Rules of this file: every known field that is present is checked, needed or not; nothing is done here,
so one bad element leaves everything undone. Everything raises BadRequest, with a sentence for the peer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson
from bson import Timestamp

from relay.errors import BadRequest
from relay.protocol.nesting import is_nested_deeper
from relay.protocol.types import (
    DASHBOARD_LIMIT_DEFAULT,
    DASHBOARD_LIMIT_MAX,
    MAX_BATCH,
    MAX_REQUEST_ID,
    ErrorCode,
)

TASKS_PER_REQUEST, LISTED_PER_REQUEST = 10, 500  # to read so many takes what another request takes
MAX_LEVELS = 32  # of lists and objects inside each other; what we know of a request has four
MAX_HEAD = 128  # characters
MAX_ETAG = 128  # characters
_MOMENT = re.compile(r"([0-9]{1,10})\.([0-9]{1,10})")


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """One frame of a client: what it wants, under which id it wants the answer, and about what."""

    type: str
    id: str | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A task, and how far the client holds it: its first `since` events, which have the digest `head`."""

    task_id: str
    since: int | None = None
    head: str | None = None


@dataclass(frozen=True, slots=True)
class PolledTask:
    """A task of a poll: how far the client holds its events, and which summary (`etag`). `forbidden`: it
    knows that it may not see the task, and waits for the day it may."""

    wanted: Wanted
    etag: str | None = None
    forbidden: bool = False


@dataclass(frozen=True, slots=True)
class PolledList:
    """The dashboard of a poll, and which list the client holds."""

    limit: int
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class PollRequest:
    """What a poll asks for (PROTOCOL.md section 8), and the moment of what the client holds."""

    dashboard: PolledList | None
    tasks: tuple[PolledTask, ...]
    moment: Timestamp | None = None


def parse(frame: str) -> ClientRequest:
    """The envelope of a frame (PROTOCOL.md section 3)."""
    envelope = _json(frame.encode("utf-8", "surrogatepass"))
    if not isinstance(envelope, dict) or not isinstance(envelope.get("type"), str):
        raise BadRequest(ErrorCode.BAD_MESSAGE, 'A message is an object with a text "type".')
    request_id, data = envelope.get("id"), envelope.get("data", {})
    if request_id is not None and not (isinstance(request_id, str) and len(request_id) <= MAX_REQUEST_ID):
        raise BadRequest(ErrorCode.BAD_MESSAGE, f'"id" is a text of at most {MAX_REQUEST_ID} characters.')
    if not isinstance(data, dict):
        raise BadRequest(ErrorCode.BAD_MESSAGE, '"data" is an object.')
    return ClientRequest(envelope["type"], request_id, data)


def _json(text: bytes) -> Any:
    if is_nested_deeper(text, MAX_LEVELS):
        raise BadRequest(ErrorCode.BAD_MESSAGE, f"This is nested deeper than {MAX_LEVELS} levels.")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadRequest(ErrorCode.BAD_MESSAGE, "This is not JSON.") from None


def wanted_tasks(data: dict[str, Any]) -> list[Wanted]:
    """What a `task:join` names: one task, or a list under `tasks`."""
    if "tasks" in data:
        if "taskId" in data:
            raise BadRequest(ErrorCode.BAD_REQUEST, 'Either "taskId" or "tasks", not both.')
        listed = listed_tasks(data, "tasks", objects_only=True)
        if not listed:  # it would have no answer
            raise BadRequest(ErrorCode.BAD_REQUEST, '"tasks" must name at least one task.')
        return listed
    return [_one(data)]


def listed_tasks(data: dict[str, Any], name: str, *, objects_only: bool = False) -> list[Wanted]:
    """A list of tasks; an element is an object, or unless `objects_only` just the id."""
    listed = data.get(name)
    if not isinstance(listed, list) or len(listed) > MAX_BATCH:
        raise BadRequest(ErrorCode.BAD_REQUEST, f'"{name}" is a list of at most {MAX_BATCH}.')
    wanted = []
    for item in listed:
        if isinstance(item, str) and not objects_only:
            item = {"taskId": item}
        if not isinstance(item, dict):
            raise BadRequest(ErrorCode.BAD_REQUEST, f'An element of "{name}" is not what it should be.')
        wanted.append(_one(item))
    return wanted


def parse_poll(body: bytes) -> PollRequest:
    """The body of a poll."""
    data = _json(body)
    if not isinstance(data, dict):
        raise BadRequest(ErrorCode.BAD_MESSAGE, "A poll is an object.")
    dashboard = _polled_list(data["dashboard"]) if "dashboard" in data else None
    tasks = _polled_tasks(data) if "tasks" in data else ()
    if dashboard is None and not tasks:
        raise BadRequest(ErrorCode.BAD_REQUEST, 'A poll asks for "dashboard", "tasks" or both.')
    return PollRequest(dashboard, tasks, _moment(data["moment"]) if "moment" in data else None)


def _polled_list(data: Any) -> PolledList:
    if not isinstance(data, dict):
        raise BadRequest(ErrorCode.BAD_REQUEST, '"dashboard" is an object.')
    return PolledList(check_limit(data.get("limit", DASHBOARD_LIMIT_DEFAULT)), _etag(data))


def _polled_tasks(data: dict[str, Any]) -> tuple[PolledTask, ...]:
    wanted = listed_tasks(data, "tasks", objects_only=True)
    if len({one.task_id for one in wanted}) < len(wanted):
        raise BadRequest(ErrorCode.BAD_REQUEST, 'A task stands in "tasks" once.')
    return tuple(
        PolledTask(one, _etag(item), _flag(item, "forbidden"))
        for one, item in zip(wanted, data["tasks"], strict=True)
    )


def _etag(data: dict[str, Any]) -> str | None:
    etag = data.get("etag")
    if etag is not None and not (isinstance(etag, str) and len(etag) <= MAX_ETAG):
        raise BadRequest(ErrorCode.BAD_REQUEST, '"etag" is the text an answer came with.')
    return etag


def shown_moment(moment: Timestamp) -> str:
    """A moment of the change stream, as clients carry it from poll to poll."""
    return f"{moment.time}.{moment.inc}"


def _moment(shown: Any) -> Timestamp:
    parts = _MOMENT.fullmatch(shown) if isinstance(shown, str) else None
    if parts is None or not all(int(part) < 2**32 for part in parts.groups()):
        raise BadRequest(ErrorCode.BAD_REQUEST, '"moment" is the text an answer came with.')
    return Timestamp(int(parts[1]), int(parts[2]))


def _flag(data: dict[str, Any], name: str) -> bool:
    value = data.get(name, False)
    if not isinstance(value, bool):
        raise BadRequest(ErrorCode.BAD_REQUEST, f'"{name}" is true or false.')
    return value


def _one(data: dict[str, Any]) -> Wanted:
    since, head = data.get("since"), data.get("head")
    return Wanted(task_id_of(data), *check_position(since, head))


def check_position(since: Any, head: Any) -> tuple[int | None, str | None]:
    """A position as a client gives it. Raises BadRequest."""
    whole = isinstance(since, int) and not isinstance(since, bool) and since >= 0
    if since is not None and not whole:
        raise BadRequest(ErrorCode.BAD_REQUEST, '"since" is a whole number from 0 on.')
    if head is not None and not (isinstance(head, str) and len(head) <= MAX_HEAD):
        raise BadRequest(ErrorCode.BAD_REQUEST, '"head" is the text a state or an event came with.')
    return since, head


def check_limit(limit: Any) -> int:
    """The length of a dashboard's list. Raises BadRequest."""
    whole = isinstance(limit, int) and not isinstance(limit, bool)
    if not whole or not 1 <= limit <= DASHBOARD_LIMIT_MAX:
        raise BadRequest(ErrorCode.BAD_REQUEST, f'"limit" is a whole number from 1 to {DASHBOARD_LIMIT_MAX}.')
    return int(limit)


def extra_cost(*, tasks: int = 0, limit: int = 0) -> float:
    """How many requests more than one it counts as to ask for so many tasks, and for a list of this length."""
    return max(0, tasks - 1) / TASKS_PER_REQUEST + max(0.0, limit / LISTED_PER_REQUEST - 1)


def task_id_of(data: dict[str, Any]) -> str:
    """The `taskId`: any text, as any text is the `_id` of some document; its length has no limit but the frame's."""
    task_id = data.get("taskId")
    if not isinstance(task_id, str):
        raise BadRequest(ErrorCode.BAD_REQUEST, '"taskId" is a text.')
    return task_id


def text_of(data: dict[str, Any], name: str, limit: int) -> str:
    """A required text of 1 to `limit` characters."""
    value = data.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise BadRequest(ErrorCode.BAD_REQUEST, f'"{name}" is a text of 1 to {limit} characters.')
    return value

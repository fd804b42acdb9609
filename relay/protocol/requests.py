"""Parse and validate what clients send: text frames, and the bodies of polls. Pure.

`messages.py` and `polls.py` declare what is valid; pydantic compiles them at import. Rules of this file: every known
field that is present is checked, needed or not; nothing is executed here, so one bad element leaves everything undone.
Every function raises BadRequest with a sentence for the client.

Time for one request in µs (Python 3.11, pydantic 2.14; "by hand" are the checks in Python that pydantic replaced):

    request                     by hand   pydantic
    ping                            0.9        1.3
    task:join of 1 task             2.0        2.1
    task:join of 100 tasks          130        101
    resync_requested of 100         134        121
    poll of the list and 1 task     5.2        3.4
    poll of list and 100 tasks      205        144

A refusal takes longer (6 µs instead of 1.3 for a bad envelope), because its sentence is made from the JSON Schema.
"""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from relay.errors import BadRequest
from relay.protocol.messages import (
    CLIENT,
    Auth,
    DashboardJoin,
    DashboardLeave,
    Envelope,
    ListLength,
    Ping,
    Resync,
    TaskLeave,
    TaskPosition,
    TaskPositions,
)
from relay.protocol.nesting import is_nested_deeper
from relay.protocol.polls import Poll
from relay.protocol.types import ErrorCode
from relay.protocol.violations import sentence

TASKS_PER_REQUEST, LISTED_PER_REQUEST = 10, 500  # reading this many costs the relay as much as one request
MAX_LEVELS = 32  # of arrays and objects inside each other; the fields we know use four

ClientRequest = (
    Auth | DashboardJoin | DashboardLeave | TaskPosition | TaskPositions | TaskLeave | Resync | Ping
)

_T = TypeVar("_T")

_ENVELOPE = TypeAdapter(Envelope)
_REQUESTS: dict[str, TypeAdapter[ClientRequest]] = {
    request.value: TypeAdapter(data) for request, data in CLIENT.items()
}
_POLL = TypeAdapter(Poll)
_POSITION = TypeAdapter(TaskPosition)
_LIST_LENGTH: TypeAdapter[int] = TypeAdapter(ListLength)


def parse(frame: str) -> Envelope:
    """Parse a text frame as far as its envelope (PROTOCOL.md section 3). `data` is still to be validated."""
    json = _json(frame.encode("utf-8", "surrogatepass"))
    return _validated(_ENVELOPE, json, ErrorCode.BAD_MESSAGE)


def parse_data(envelope: Envelope) -> ClientRequest:
    """Validate the data of a request by its type (PROTOCOL.md section 4)."""
    adapter = _REQUESTS.get(envelope.type)
    if adapter is None:
        raise BadRequest(ErrorCode.UNKNOWN_TYPE, "There is no request of this type.")
    return _validated(adapter, envelope.data)


def parse_poll(body: bytes) -> Poll:
    """Parse the body of a poll (PROTOCOL.md section 8)."""
    json = _json(body)
    if not isinstance(json, dict):
        raise BadRequest(ErrorCode.BAD_MESSAGE, "expected an object")
    poll = _validated(_POLL, json)
    if poll.dashboard is None and not poll.tasks:
        raise BadRequest(ErrorCode.BAD_REQUEST, 'expected "dashboard", "tasks" or both')
    return poll


def check_position(since: int | None, head: str | None) -> tuple[int | None, str | None]:
    """Return the position that the address of a WebSocket names, `?since=&head=`."""
    position = _validated(_POSITION, {"taskId": "", "since": since, "head": head})
    return position.since, position.head


def check_limit(limit: int) -> int:
    """Return the length of a list that the address of a WebSocket names, `?limit=`."""
    return _validated(_LIST_LENGTH, limit)


def extra_cost(*, tasks: int = 0, limit: int = 0) -> float:
    """Return how many requests more than one it counts as to ask for this many tasks, or for a list of this length."""
    return max(0, tasks - 1) / TASKS_PER_REQUEST + max(0.0, limit / LISTED_PER_REQUEST - 1)


def cost(*, tasks: int = 0, limit: int = 0) -> float:
    """Return as how many requests it counts to ask for this many tasks, or for a list of this length."""
    return 1 + extra_cost(tasks=tasks, limit=limit)


def _json(text: bytes) -> Any:
    if is_nested_deeper(text, MAX_LEVELS):
        raise BadRequest(ErrorCode.BAD_MESSAGE, f"nested deeper than {MAX_LEVELS} levels")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadRequest(ErrorCode.BAD_MESSAGE, "not JSON") from None


def _validated(adapter: TypeAdapter[_T], json: Any, code: ErrorCode = ErrorCode.BAD_REQUEST) -> _T:
    try:
        # Not `adapter.validate_python`: passing on its keyword arguments takes as long as validating a ping.
        valid: _T = adapter.validator.validate_python(json)
    except ValidationError as invalid:
        # Without the cause: pydantic's message quotes what was sent, and that may be a token.
        raise BadRequest(code, sentence(invalid, adapter)) from None
    return valid

"""The bodies that travel over HTTP, declared once as in `messages.py`: the request and the answer of `POST /poll`
(PROTOCOL.md section 8), and the answer of `GET /config` (section 9). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

from bson import Timestamp
from pydantic import AfterValidator, BeforeValidator, ConfigDict, FailFast, Field, PlainValidator, StrictBool
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from relay.protocol.messages import RULE, ListLength, TaskPosition
from relay.protocol.types import DASHBOARD_LIMIT_DEFAULT, MAX_BATCH, Claims

MAX_ETAG = 128  # characters

_Etag = Annotated[str, Field(max_length=MAX_ETAG)]
_MOMENT = re.compile(r"[0-9]{1,10}\.[0-9]{1,10}")
_ShownMoment = Annotated[str, Field(pattern=f"^{_MOMENT.pattern}$")]


def shown_moment(moment: Timestamp) -> str:
    """Return a moment of the change stream as clients carry it from poll to poll: `"seconds.increment"`."""
    return f"{moment.time}.{moment.inc}"


def _moment(shown: Any) -> Timestamp:
    if not isinstance(shown, str) or not _MOMENT.fullmatch(shown):
        raise ValueError
    time, increment = map(int, shown.split("."))
    return Timestamp(time, increment)  # raises ValueError for a number of more than 32 bits


def _not_null(value: Any) -> Any:
    if value is None:
        raise ValueError
    return value


def _each_once(tasks: tuple[PolledTask, ...]) -> tuple[PolledTask, ...]:
    if len({task.task_id for task in tasks}) < len(tasks):
        raise PydanticCustomError(RULE, '"tasks" must not contain duplicates')
    return tasks


@dataclass(frozen=True, slots=True)
class PolledList:
    """The list, unless it is still the one that has this etag. `updates: true` says that you apply
    `dashboard:task_list_updated` to the list that you hold, so the answer may have only what changed."""

    limit: ListLength = DASHBOARD_LIMIT_DEFAULT
    etag: _Etag | None = None
    updates: StrictBool = False


@dataclass(frozen=True, slots=True)
class PolledTask(TaskPosition):
    """A task, unless you hold it as it is: no event after this position, and the summary that has this etag.
    `forbidden: true` says that you know you may not see the task: only its becoming visible is news."""

    etag: _Etag | None = None
    forbidden: StrictBool = False


@dataclass(frozen=True, slots=True)
class Poll:
    """What a client without a WebSocket asks again and again: the list, tasks (each once), or both. `moment` is the
    greatest one of all answers."""

    # JSON Schema for the last check of `requests.parse_poll`: a poll asks for at least one thing.
    __pydantic_config__ = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["dashboard"]},
                {"required": ["tasks"], "properties": {"tasks": {"minItems": 1}}},
            ]
        }
    )

    # None is an absent field. Null is refused: only the positions and etags that a client keeps may be null.
    dashboard: Annotated[PolledList | None, BeforeValidator(_not_null, json_schema_input_type=PolledList)] = (
        None
    )
    tasks: Annotated[
        tuple[PolledTask, ...], Field(max_length=MAX_BATCH), FailFast(), AfterValidator(_each_once)
    ] = ()
    moment: Annotated[Timestamp | None, PlainValidator(_moment, json_schema_input_type=_ShownMoment)] = None


class Etag(TypedDict):
    """Identifies a summary or a list as it was sent."""

    etag: str


class PollAnswer(TypedDict):
    """What is newer, as messages of the server, and what to send with the next poll: the etags and the moment.
    `more`: the answer is full, and the next poll fetches the rest. `claims` is that of `welcome`."""

    messages: list[dict[str, Any]]  # each is one of messages.SERVER in its envelope; schema.py says so
    dashboard: NotRequired[Etag]
    tasks: NotRequired[dict[str, Etag]]
    moment: _ShownMoment
    more: NotRequired[Literal[True]]
    claims: NotRequired[Claims]


class LinkTemplates(TypedDict):
    """Where a page leads from a task: addresses with fields of its summary in braces, as in
    `https://tracker.example/tasks/{taskId}`. `answer` is for one with questions, `retry` for one that failed."""

    task: NotRequired[str]
    answer: NotRequired[str]
    retry: NotRequired[str]


class ConfigAnswer(TypedDict):
    """Whether live delivery is switched on for the user of the token, the public addresses at which this relay serves
    WebSockets and polls, the version of the protocol, and the links of the mapping if it has any."""

    enabled: bool
    websocketUrl: str
    pollUrl: str
    protocol: int
    links: NotRequired[LinkTemplates]

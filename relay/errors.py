"""The exception tree.

RelayError
├── StartupError          we were set up wrongly: one sentence for the operator, exit code 3
├── BadRequest            a peer broke the rules of one request: becomes an `error` message
├── Refused               a peer may not converse at all: becomes a close code
│   └── ConnectionRefused (client/)   the other way round: a relay refused us for good
└── SourceError           the database failed us
    ├── Unavailable       for now: the same call may succeed later
    └── PositionLost      the position asked for can no longer be read: heal, never retry it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class RelayError(Exception):
    """Root of everything the relay raises on purpose."""


class StartupError(RelayError):
    """The relay cannot start; the message is one sentence that says why and what to do."""


class BadRequest(RelayError):
    """A request that cannot be executed.

    `code` is one of the error codes of PROTOCOL.md section 5; `temporary` says whether the same
    request can succeed later.
    """

    def __init__(
        self, code: str, message: str, *, task_id: str | None = None, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.task_id = task_id
        self.retry_after_ms = retry_after_ms


class Refused(RelayError):
    """The conversation ends with this close code and reason (PROTOCOL.md section 7)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class SourceError(RelayError):
    """The database could not answer."""


class Unavailable(SourceError):
    """The database is away or too slow; trying again may help."""


class PositionLost(SourceError):
    """This position is gone from the stream or from the snapshot history; only healing helps."""


def first_problem(failure: ValidationError) -> tuple[str, tuple[int | str, ...], str]:
    """The first problem that pydantic found: its type, where it lies, and a reason such as `must be a valid string`.

    The reason continues a sentence that begins with the name of the value. The value itself is never shown.
    """
    problem = failure.errors(include_url=False, include_input=False, include_context=False)[0]
    reason = problem["msg"].removeprefix("Value error, ").replace("Input should", "must", 1)
    return problem["type"], problem["loc"], reason[:1].lower() + reason[1:]

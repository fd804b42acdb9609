"""The exceptions that the relay raises on purpose.

RelayError
├── StartupError          the configuration is wrong: one sentence for the operator, exit code 3
├── BadRequest            a client sent a request that cannot be executed: becomes an `error` message
├── Refused               a client may not connect, or not stay: becomes a close code
│   └── ConnectionRefused (client/)   on the client: the relay refused the connection for good
├── Unanswered            another process of this relay did not answer
│   └── AnswerFailed      it lives, but could not answer
├── Unwanted              nobody waits for the result of a read any more
└── SourceError           the database did not answer
    ├── Unavailable       for now: the same call may succeed later
    └── PositionLost      this position can no longer be read: resync from a newer one, never retry
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import ValidationError


_SHOWN_CHARS = 100  # of a wrong value, in a sentence about it
# In characters. A key of 128 bits has 22 in base64 and 32 in hexadecimal, so a longer word of a value may be one.
_LONGEST_WORD = 20
# A shorter part of a secret betrays nothing, and would hide most numbers: a secret in hexadecimal has every digit.
_SHORTEST_PART = 4


class RelayError(Exception):
    """The base class of every exception that the relay raises on purpose."""


class StartupError(RelayError):
    """The relay cannot start. The message is one sentence that says why and what to do."""


class BadRequest(RelayError):
    """A request that cannot be executed.

    `code` is one of the error codes of PROTOCOL.md section 5. `task_id` names the task it concerns, if it concerns one;
    `retry_after_ms` says when the same request can succeed, if it ever can.
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
    """The connection is refused or closed with this close code and reason (PROTOCOL.md section 7).

    `detail` is for an operator and is never sent: a clause without a subject that says more about the refusal of a
    token, such as `has no exp`. It contains no token. `user` is the `sub` of the token if its signature was verified.
    """

    def __init__(self, code: int, reason: str, *, detail: str = "", user: str | None = None) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason
        self.detail = detail
        self.user = user


class Unanswered(RelayError):
    """Another process of the same relay did not answer, because it is gone or too busy."""


class AnswerFailed(Unanswered):
    """Another process of the same relay lives, but failed when it wanted to answer."""


class Unwanted(RelayError):
    """A read was ended, because nobody waits for its result any more."""


class SourceError(RelayError):
    """The database did not answer a question of the relay."""


class Unavailable(SourceError):
    """The database is unreachable or too slow. The same call may succeed later."""


class PositionLost(SourceError):
    """This position is no longer in the oplog or in the snapshot history. Listeners have to be resynced from a newer
    one; a retry would fail forever."""


def first_problem(failure: ValidationError) -> tuple[str, tuple[int | str, ...], str]:
    """The first problem that pydantic found: its type, where it lies, and a reason such as `must be a valid string`.

    The reason continues a sentence that begins with the name of the value. The value itself is not in it.
    """
    problem = failure.errors(include_url=False, include_input=False, include_context=False)[0]
    reason = problem["msg"].removeprefix("Value error, ").replace("Input should", "must", 1)
    return problem["type"], problem["loc"], reason[:1].lower() + reason[1:]


def but_is(value: object, secrets: Collection[str] = ()) -> str:
    """Return a clause that shows a wrong value at the end of a sentence about it, such as `, but is "eighty"`.

    It is empty for a value that is neither a string nor a number, and for one that may be a secret in the wrong place:
    see `may_be_secret`, also about `secrets`.
    """
    if not isinstance(value, str | int | float) or may_be_secret(str(value), secrets):
        return ""
    if isinstance(value, str) and len(value) > _SHOWN_CHARS:
        value = value[: _SHOWN_CHARS - 1] + "…"
    return f", but is {json.dumps(value, ensure_ascii=False)}"


def may_be_secret(text: str, secrets: Collection[str] = ()) -> bool:
    """Whether this text may be a key, a token, a URL with a password, or a secret out of `secrets`.

    That is also true of a text that is a part of a member of `secrets` or contains one, unless the part is very short.
    """
    return (
        not text.isprintable()  # also a PEM key, which has line ends
        or "-----" in text
        or "://" in text
        or not set("@?#").isdisjoint(text)
        or any(len(word) > _LONGEST_WORD for word in text.split())
        or any(_overlap(text, one) or _overlap(text, unquote(one)) for one in secrets)
    )


def _overlap(text: str, secret: str) -> bool:
    return (len(text) >= _SHORTEST_PART and text in secret) or (
        len(secret) >= _SHORTEST_PART and secret in text
    )

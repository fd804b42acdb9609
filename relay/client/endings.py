"""How a connection ended, what that means, and when to come again. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from relay.protocol.types import Close

BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 20.0
PATIENCE_CAP_S = 30.0  # between two tries of tokens that are refused
ANNOUNCED_WAIT_MAX_S = 600.0  # a longer retryAfterMs or reconnectAfterMs is shortened to this
ABNORMAL = 1006  # what RFC 6455 7.1.5 calls an end without a close frame

Verdict = Literal["again", "fresh_token", "done", "refused"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How one connection ended; `lived_s` is None if it was never welcomed."""

    reason: str
    code: int | None
    wait_s: float | None = None
    lived_s: float | None = None


def judge(code: int | None) -> Verdict:
    """What the end of a connection means (PROTOCOL.md 7). A code below 1000 is the HTTP status that came
    instead of an upgrade; None is no answer at all."""
    match code:
        case None:
            return "again"
        case 401 | Close.UNAUTHENTICATED:
            return "fresh_token"
        case 408 | 425 | 429:
            return "again"
        case Close.DONE:
            return "done"
        case Close.BINARY | 1007 | Close.PROTOCOL_ABUSE | Close.TOO_BIG:
            return "refused"
        case _ if code < 500 or 4500 <= code <= 4999:
            return "refused"
        case _:
            return "again"


def jitter(failures: int, random: Callable[[], float]) -> float:
    """Full jitter after so many failures in a row, in seconds."""
    return random() * min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** min(failures, 16))


def patience(failures: int, random: Callable[[], float]) -> float:
    """The pause in seconds, after `failures` in a row, before a try that fails until somebody corrects something.
    Half of it is jitter; it is never 0."""
    return min(PATIENCE_CAP_S, 2.0 ** min(failures, 16)) * (1 + random()) / 2


def pause(ending: Ending, jitter_s: float) -> float:
    """How long until the next try, in seconds."""
    if ending.wait_s is None:
        return jitter_s
    # A limit says "not before"; a planned stop has spread its clients already, and means "then".
    return ending.wait_s if ending.code == Close.GOING_AWAY else max(ending.wait_s, jitter_s)


def cause(error: BaseException) -> str:
    """Why no connection came about, in a few words."""
    if isinstance(error, TimeoutError):
        return "timed out"
    # asyncio words an OSError anew, with the address or with those of all attempts; the number is the cause.
    if isinstance(error, OSError) and (number := re.search(r"\[Errno (\d+)\]", str(error))):
        return os.strerror(int(number[1])).lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    deeper: BaseException | None = error.__cause__
    return str(error) or (str(deeper) if deeper is not None else type(error).__name__)


def announced(code: int, reason: str) -> float | None:
    """`rate_limited:<retryAfterMs>` of a close 4429."""
    return seconds(reason.partition(":")[2]) if code == Close.RATE_LIMITED else None


def seconds(value: object, unit_s: float = 0.001) -> float | None:
    """An announced duration in seconds, None for anything that is not one."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return min(value * unit_s, ANNOUNCED_WAIT_MAX_S)

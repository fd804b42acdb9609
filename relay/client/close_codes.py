"""Interpret how a connection ended: reconnect or give up, and after which delay. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from relay.protocol.types import Close

BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 20.0
REFUSED_TOKEN_CAP_S = 30.0  # longest delay between two attempts with tokens that the relay refuses
ANNOUNCED_WAIT_MAX_S = 600.0  # a longer retryAfterMs or reconnectAfterMs is shortened to this

Verdict = Literal["again", "fresh_token", "other_token", "done", "refused"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How one connection ended.

    `code` is a close code, an HTTP status (below 1000), or None when no answer came. `wait_s` is the delay that the
    relay named, if any. `lived_s` is how long the connection lasted after its `welcome`, None if it got none.
    """

    reason: str
    code: int | None
    wait_s: float | None = None
    lived_s: float | None = None


def judge(code: int | None) -> Verdict:
    """Return what a client does after a connection ended with this code (PROTOCOL.md 7).

    A code below 1000 is the HTTP status of a refused upgrade; None means that no answer came. "again": reconnect.
    "fresh_token": reconnect with a new token. "other_token": reconnect only once there is a token other than the one of
    this connection. "done": the relay has ended the connection for good. "refused":
    reconnecting cannot help.
    """
    match code:
        case None:
            return "again"
        case 401 | Close.UNAUTHENTICATED:
            return "fresh_token"
        case Close.DISCONNECTED:
            return "other_token"
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
    """Return a delay in seconds after `failures` failures in a row: exponential backoff with full jitter."""
    return random() * min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** min(failures, 16))


def refused_token_delay(failures: int, random: Callable[[], float]) -> float:
    """Return the delay in seconds before a refused token is sent again, after `failures` refusals in a row.

    Half of it is jitter, so it is never 0: a token stays refused until somebody changes a setting or a key, and
    clients must not flood the relay meanwhile.
    """
    return min(REFUSED_TOKEN_CAP_S, 2.0 ** min(failures, 16)) * (1 + random()) / 2


def retry_delay(ending: Ending, jitter_s: float) -> float:
    """Return the delay in seconds before the next attempt, from the relay's announcement and the client's jitter."""
    if ending.wait_s is None:
        return jitter_s
    # A rate limit names the earliest time, so jitter may add to it. A planned stop (1001) has already given each
    # client a different delay, so we use it as it is.
    return ending.wait_s if ending.code == Close.GOING_AWAY else max(ending.wait_s, jitter_s)


def failure_reason(error: BaseException) -> str:
    """Return a short reason, without addresses, for a connection that could not be opened."""
    if isinstance(error, TimeoutError):
        return "timed out"
    # asyncio rewords an OSError and adds the addresses of all attempts, so we take the reason from its number.
    if isinstance(error, OSError) and (number := re.search(r"\[Errno (\d+)\]", str(error))):
        return os.strerror(int(number[1])).lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    cause: BaseException | None = error.__cause__
    return str(error) or (str(cause) if cause is not None else type(error).__name__)


def status_reason(status: int) -> str:
    """Return a short reason for a refused upgrade with this HTTP status: "not_found" where what answers is not the
    relay, "blocked" where a proxy does not forward the upgrade, else the status."""
    if status == 426:
        return "blocked"
    return "not_found" if 200 <= status < 400 or status in (404, 405, 410) else f"HTTP {status}"


def announced_delay(code: int, reason: str) -> float | None:
    """Return the delay in seconds from the reason `rate_limited:<retryAfterMs>` of a close 4429, else None."""
    return seconds(reason.partition(":")[2]) if code == Close.RATE_LIMITED else None


def seconds(value: object, unit_s: float = 0.001) -> float | None:
    """Return a received duration in seconds, at most ANNOUNCED_WAIT_MAX_S; None for an invalid value.

    `value` is an integer ≥ 0 or its decimal string, in units of `unit_s` seconds.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return min(value * unit_s, ANNOUNCED_WAIT_MAX_S)

"""Get a client's token from a string or a callable. Each call of the callable has a time limit."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

# A proxy may refuse a longer header: nginx and Apache allow 8 KiB, with what else is in it.
HEADER_MAX_LENGTH = 4_096
ANSWER_WITHIN_S = 15.0  # after this the call counts as failed, and the callable is called again

TokenSource = str | Callable[[], str | Awaitable[str | None] | None]


class NoToken(Exception):
    """There is no token to use yet. The text gives the reason and contains nothing of the value returned."""


class Tokens:
    """Gets tokens from a token source. Raises ValueError at once for a string that cannot be a token, and for a source
    that is neither a string nor a callable."""

    def __init__(self, source: TokenSource, sleep: Callable[[float], Awaitable[None]]) -> None:
        if not isinstance(source, str) and not callable(source):
            raise ValueError("the token must be a string or a callable")
        self._source = checked(source) if isinstance(source, str) else source
        self._sleep = sleep
        self._ended: tuple[str, str] | None = None  # a token that is not used again, and why not

    @property
    def is_fixed(self) -> bool:
        """Whether the source is a string, so there will never be another token."""
        return isinstance(self._source, str)

    async def ask(self) -> str:
        """Return the token to use now. Raises NoToken if the callable raises, returns none, or takes too long.

        A callable that blocks also blocks the event loop, and no time limit can stop it: return an awaitable instead.
        """
        if isinstance(self._source, str):
            return self._source
        with _errors_as_no_token():
            given: object = self._source()
            is_awaitable = inspect.isawaitable(given)
        if is_awaitable:
            given = await self._bounded(given)  # type: ignore[arg-type]
        if given is None or (isinstance(given, str) and not given):
            raise NoToken("none was given")
        if not isinstance(given, str):
            raise NoToken(f"expected a string, got {type(given).__name__}")
        try:
            token = checked(given)
        except ValueError:
            raise NoToken("invalid characters") from None
        if self._ended is not None and token == self._ended[0]:
            raise NoToken(f"the same token, {self._ended[1]}")
        return token

    def mark_ended(self, token: str, why: str) -> None:
        """Do not use this token again. `why` goes into the text of NoToken: "which has expired"."""
        self._ended = token, why

    async def _bounded(self, given: Awaitable[Any]) -> Any:
        is_ours = not asyncio.isfuture(
            given
        )  # a future may be shared with other tasks that await it, so do not cancel it
        answer = asyncio.ensure_future(given)
        timeout = asyncio.ensure_future(_wait(self._sleep, ANSWER_WITHIN_S))
        try:
            await asyncio.wait((answer, timeout), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise NoToken("no answer in time")
            with _errors_as_no_token():
                return answer.result()
        finally:
            timeout.cancel()
            if is_ours and answer.cancel():
                answer.add_done_callback(_forget)


def checked(token: str) -> str:
    """Return the token without surrounding whitespace. Raises ValueError, without repeating it, if it is invalid."""
    token = token.strip()
    if not token or not all("!" <= character <= "~" for character in token):
        raise ValueError("the token is empty or has invalid characters")
    return token


def is_long(token: str) -> bool:
    """Whether a proxy may refuse a request for the length of this token, so that it has to be sent in the first frame
    (PROTOCOL.md 2)."""
    return len(token) > HEADER_MAX_LENGTH


@contextmanager
def _errors_as_no_token() -> Iterator[None]:
    """Turn any error of the callable into NoToken, also a CancelledError that the callable raises itself.

    Such a cancellation is not one of our own task: our task does not await anything inside this block.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise NoToken(type(error).__name__) from None


async def _wait(sleep: Callable[[float], Awaitable[None]], seconds: float) -> None:
    await sleep(seconds)


def _forget(answer: asyncio.Future[Any]) -> None:
    """Read the error of an abandoned call, so asyncio does not log it as never retrieved."""
    with suppress(BaseException):
        answer.exception()

"""Where a client has its token from: a text, or a callable that is asked. Every question to it ends, and soon."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

ANSWER_WITHIN_S = 15.0  # a callable that takes longer has given no token, and is asked again

TokenSource = str | Callable[[], str | Awaitable[str | None] | None]


class NoToken(Exception):
    """There is no token to use yet; the text says why, and holds nothing of what was given."""


class Tokens:
    """Asks a token source. A text is checked at once: ValueError for one that cannot be a token, and for what
    is neither a text nor a callable."""

    def __init__(self, source: TokenSource, sleep: Callable[[float], Awaitable[None]]) -> None:
        if not isinstance(source, str) and not callable(source):
            raise ValueError("the token must be a text or a callable")
        self._source = checked(source) if isinstance(source, str) else source
        self._sleep = sleep
        self._ended: str | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether it is a text: there will never be another one."""
        return isinstance(self._source, str)

    async def ask(self) -> str:
        """The token to use now. Raises NoToken where the callable raises, gives none, or takes too long. One
        that blocks, blocks the event loop, and cannot be bounded: it should return an awaitable."""
        if isinstance(self._source, str):
            return self._source
        with _in_the_callable():
            given: object = self._source()
            is_awaitable = inspect.isawaitable(given)
        if is_awaitable:
            given = await self._bounded(given)  # type: ignore[arg-type]
        if given is None or (isinstance(given, str) and not given):
            raise NoToken("none was given")
        if not isinstance(given, str):
            raise NoToken(f"not a text but {type(given).__name__}")
        try:
            token = checked(given)
        except ValueError:
            raise NoToken("characters that no token has") from None
        if token == self._ended:
            raise NoToken("the one that has ended")
        return token

    def note_end(self, token: str) -> None:
        """The relay says that this token's time is over: it is not used again."""
        self._ended = token

    async def _bounded(self, given: Awaitable[Any]) -> Any:
        is_ours = not asyncio.isfuture(given)  # a future may be shared with others who wait for it
        answer = asyncio.ensure_future(given)
        patience = asyncio.ensure_future(_wait(self._sleep, ANSWER_WITHIN_S))
        try:
            await asyncio.wait((answer, patience), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise NoToken("no answer in time")
            with _in_the_callable():
                return answer.result()
        finally:
            patience.cancel()
            if is_ours and answer.cancel():
                answer.add_done_callback(_forget)


def checked(token: str) -> str:
    """The token without blanks around it. Raises ValueError for what cannot be one, without repeating it."""
    token = token.strip()
    if not token or not all("!" <= character <= "~" for character in token):
        raise ValueError("the token is empty or has characters that no token has")
    return token


@contextmanager
def _in_the_callable() -> Iterator[None]:
    """Whatever the callable raises is only that there is no token: also a cancellation, which is not ours here."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise NoToken(type(error).__name__) from None


async def _wait(sleep: Callable[[float], Awaitable[None]], seconds: float) -> None:
    await sleep(seconds)


def _forget(answer: asyncio.Future[Any]) -> None:
    """Whatever a question that was given up fails with is nobody's any more."""
    with suppress(BaseException):
        answer.exception()

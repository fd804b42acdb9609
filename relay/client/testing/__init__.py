"""A relay for the tests of a program: the real client over a relay that runs inside of the test.

    fake = fake_relay(tasks=[{"taskId": "t1", "title": "Export invoices"}])
    async with fake as relay:
        task = relay.join_task("t1")
        fake.push("t1", {"type": "pr_opened", "prUrl": "https://git.example/8"})
        await until(relay, lambda: task.next == 1)

It listens on a free port of the loopback interface, and needs no database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from relay.client.client import Client
from relay.client.testing.server import FakeServer
from relay.client.testing.tasks import Tasks, Told
from relay.client.tokens import TokenSource
from relay.protocol.types import Claims, ErrorCode, Kind

__all__ = ["FakeRelay", "fake_relay", "until"]

UNTIL_S = 10.0  # what a test waits for takes milliseconds
# The reasons with which a real relay closes (PROTOCOL.md section 7).
_REASONS = {
    1011: "internal error",
    4401: "unauthenticated",
    4403: "disconnected",
    4408: "stalled",
    4429: "rate_limited:10",
    4430: "at_capacity",
    4500: "bad_handshake",
    4502: "feature_disabled",
}


def fake_relay(
    tasks: Iterable[Mapping[str, Any]] = (), me: str | Mapping[str, str | Sequence[str]] = "alice"
) -> FakeRelay:
    """Make a relay that runs inside of the test: enter it with `async with`, which gives what `connect` returns.

    `tasks`, oldest first, are summaries as the list shows them, each with a `taskId` and, if it has any, `events` as
    writers push them. `me` is the user: the `sub` of the token, or `sub` and other claims. Raises ValueError as
    `FakeRelay.add` does.
    """
    return FakeRelay(tasks, me)


async def until(relay: Client, condition: Callable[[], object], *, within_s: float = UNTIL_S) -> None:
    """Iterate over a client until a condition holds. Raises TimeoutError if it does not hold in time, and
    ConnectionRefused as the iteration does."""
    async with asyncio.timeout(within_s):
        while not condition():
            try:
                await anext(relay)
            except StopAsyncIteration:
                raise AssertionError("the iteration has ended before the condition held") from None


class FakeRelay:
    """A relay without a database. Its tasks are those of one user, and change by the methods of this class.

    A change takes effect at once, and is sent to the clients in its order; their views show it when they have iterated
    over it. Every method raises ValueError for a wrong call, which changes nothing. Call them from the event loop's
    thread; all but `offline` and those that send may be called before `async with`, too.
    """

    def __init__(
        self, tasks: Iterable[Mapping[str, Any]], me: str | Mapping[str, str | Sequence[str]]
    ) -> None:
        given = {"sub": me} if isinstance(me, str) else me
        claims: Claims = {
            name: [value] if isinstance(value, str) else [*value] for name, value in given.items()
        }
        sub = given.get("sub")
        if not isinstance(sub, str) or not sub:
            raise ValueError('a user needs a sub, a string, as in {"sub": "alice"}')
        self._tasks = Tasks()
        self._server = FakeServer(self._tasks, sub, claims)
        self._relay: Client | None = None
        for task in tasks:
            self._tasks.add(task)

    async def __aenter__(self) -> Client:
        await self._server.open()
        self._relay = self.connect()
        return await self._relay.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._relay is not None
        try:
            await self._relay.__aexit__(kind, error, trace)
        finally:
            await self._server.close()

    @property
    def url(self) -> str:
        """The address of this relay, for a program that calls `connect` itself. Any token is accepted."""
        if not self._server.url:
            raise ValueError("a fake relay has an address inside `async with`")
        return self._server.url

    def connect(self, token: TokenSource | None = None) -> Client:
        """Make another client of this relay. Any token is accepted. It comes back without a pause, and not while the
        relay is offline."""
        return Client(self.url, token or "any", sleep=self._sleep, random=lambda: 0.0)

    def push(self, task_id: str, event: Mapping[str, Any], **fields: Any) -> None:
        """Append an event, which needs a `type`, to a task and, in the same change, set fields of its summary."""
        self._tell(self._tasks.change(task_id, [event], fields))

    def set(self, task_id: str, **fields: Any) -> None:
        """Set fields of a task's summary; None removes one. Another status sends its lifecycle message
        (`task:pr_opened`), as with the relay's default mapping."""
        self._tell(self._tasks.change(task_id, [], fields))

    def add(self, task: Mapping[str, Any]) -> None:
        """Add a task, given as to `fake_relay`. Raises ValueError if there is one with this `taskId`."""
        self._tell(self._tasks.add(task))

    def remove(self, task_id: str) -> None:
        """Delete a task."""
        self._tell(self._tasks.remove(task_id))

    def revoke(self, task_id: str) -> None:
        """Take the right to see a task from the user."""
        self._tell(self._tasks.show(task_id, False))

    def grant(self, task_id: str) -> None:
        """Give back the right to see a task."""
        self._tell(self._tasks.show(task_id, True))

    def fail(self, code: int = 1011, reason: str | None = None) -> None:
        """Close every connection with this code of PROTOCOL.md section 7. A later connection is accepted."""
        if not 1000 <= code <= 4999:
            raise ValueError(f"a connection fails with a close code from 1000 to 4999, not with {code}")
        self._server.end(code, _REASONS.get(code, "") if reason is None else reason)

    def fail_next_join(self, code: str) -> None:
        """Answer the next join, of the list or of tasks, with this error. After one that is temporary, such
        as `unavailable`, the client joins again."""
        if code not in [*ErrorCode]:
            raise ValueError(f"a join fails with one of {', '.join(ErrorCode)}, not with {code}")
        self._server.failures.append(ErrorCode(code))

    def offline(self) -> None:
        """Take the network away: connections break, and no other one gets through."""
        self._server.online.clear()
        self._server.cut()

    def online(self) -> None:
        """Bring the network back. The clients come back at once, and get what they missed."""
        self._server.online.set()

    def stale(self, lag_ms: int = 60_000) -> None:
        """Say that the relay has lost the database, or is behind it by `lag_ms` milliseconds."""
        self._server.stale_ms = lag_ms
        self._server.send(Kind.STREAM_STATUS, {"state": "stale", "lagMs": lag_ms})

    def live(self) -> None:
        """Say that the relay is current again, after `stale`."""
        self._server.stale_ms = None
        self._server.send(Kind.STREAM_STATUS, {"state": "live", "lagMs": 0})

    def _tell(self, messages: Sequence[Told]) -> None:
        self._server.tell(messages)

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._server.online.wait()  # there is no pause before the next attempt, so wait for it here

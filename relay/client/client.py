"""The reconnecting client of the relay: wanted rooms in, messages and live views out."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from relay.client.address import websocket_url
from relay.client.conversation import Conversation, TokenSource
from relay.client.items import Item, Message, Position
from relay.client.live import TaskList, Timeline
from relay.client.rooms import Noted, Wanted
from relay.protocol import DASHBOARD_LIMIT_DEFAULT, Kind

INBOX_MAX_ITEMS = 256  # past it nothing more is read, and the relay sees a slow reader
SINCE_MAX = 2**31 - 1  # more events than a document can hold; a larger one is nobody's position


def connect(url: str, token: TokenSource) -> Client:
    """A client of the relay at this address: enter it with `async with`, then iterate.

    `token` is a JSON Web Token, or a callable that returns one (or an awaitable of one) and is asked again
    whenever a fresh one is needed. Raises ValueError for an address or a token that cannot be one.
    """
    return Client(url, token)


class Client:
    """A connection that is kept, and the rooms that are wanted on it.

    Iterating yields `Message`, `Connected` and `Disconnected`, in the order things happened. It ends when the
    relay says it is done (1000) or the context is left, and raises ConnectionRefused where coming again is no
    use.
    The `TaskList` and each `Timeline` that a join returns show what has been iterated over so far.
    An OSError of the token callable is retried like a lost connection; any other exception of it is raised
    from the iteration. The rooms may change at any time, before and during the context, from the event loop's
    thread.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        """Raises ValueError for an address or a token that cannot be one."""
        self._wanted = Wanted()
        self._inbox = Inbox()
        self._conversation = Conversation(
            websocket_url(url), token, self._wanted, self._inbox, clock=clock, sleep=sleep, random=random
        )
        self._list: TaskList | None = None
        self._timelines: dict[str, Timeline] = {}
        self._runner: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The address of the WebSocket."""
        return self._conversation.url

    def join_dashboard(self, limit: int = DASHBOARD_LIMIT_DEFAULT) -> TaskList:
        """Want the list of tasks; called again, a fresh `dashboard:state` is asked for."""
        self._wanted.dashboard = limit
        self._conversation.changed(None)
        self._list = self._list or TaskList()
        return self._list

    def leave_dashboard(self) -> None:
        self._wanted.dashboard = None
        self._conversation.changed()
        if self._list is not None:
            self._list.end("left")
            self._list = None

    def join_task(self, task_id: str, since: int | None = None, head: str | None = None) -> Timeline:
        """Want one task, from the start or from a position received earlier; called again, a fresh
        `task:state` is asked for. Raises ValueError for an id or a position that cannot be one."""
        task_id.encode()
        if (since is None) != (head is None):
            raise ValueError("since counts only together with head")
        if since is not None and not 0 <= since <= SINCE_MAX:
            raise ValueError("since must be a number of events")
        self._wanted.tasks[task_id] = None if since is None or head is None else Position(since, head)
        self._conversation.changed(task_id)
        return self._timelines.setdefault(task_id, Timeline(task_id))

    def leave_task(self, task_id: str) -> None:
        self._wanted.tasks.pop(task_id, None)
        self._conversation.changed()
        if (timeline := self._timelines.pop(task_id, None)) is not None:
            timeline.end("left")

    async def __aenter__(self) -> Self:
        if self._runner is not None:
            raise RuntimeError("a Client is entered once")
        # Not a TaskGroup: its failure belongs to whoever iterates and must not cancel whoever entered.
        self._runner = asyncio.create_task(self._inbox.filled_by(self._conversation), name="relay client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        self._runner.cancel()
        try:
            await asyncio.wait({self._runner})
        except asyncio.CancelledError:
            self._runner.cancel()  # no time for a polite goodbye: the second one cuts the socket
            await asyncio.wait({self._runner})
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        if self._runner is None:
            raise RuntimeError("iterate inside `async with client`")
        item, noted = await self._inbox.take()
        if isinstance(item, Message):
            self._show(item, noted)
        return item

    def _show(self, message: Message, noted: Noted) -> None:
        """Bring the views up to date with this message."""
        if self._list is not None:
            self._list.show(message)
        task_id = message.data.get("taskId")
        if isinstance(task_id, str) and task_id in self._timelines:
            self._timelines[task_id].show(message)
        if message.type == Kind.ERROR:
            for room in noted.lost:
                view = self._list if room is None else self._timelines.get(room)
                if view is not None:
                    view.end(str(message.data.get("code")))
        for room in noted.lost:
            if room is None and self._wanted.dashboard is None:
                self._list = None
            elif room is not None and room not in self._wanted.tasks:
                self._timelines.pop(room, None)


class Inbox:
    """What was received and not yet taken: at most INBOX_MAX_ITEMS, then nothing more is read."""

    def __init__(self) -> None:
        self._items: deque[tuple[Item, Noted]] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self._items)

    async def filled_by(self, conversation: Conversation) -> None:
        try:
            await conversation.run()
        except Exception as error:
            self._error = error  # `take` raises it after everything that came before
        finally:
            self._ended = True
            self._arrived.set()

    async def room(self) -> None:
        while len(self._items) >= INBOX_MAX_ITEMS:
            self._taken.clear()
            await self._taken.wait()

    def put(self, item: Item, noted: Noted) -> None:
        self._items.append((item, noted))
        self._arrived.set()

    async def take(self) -> tuple[Item, Noted]:
        """Raises what the conversation failed with, once, and StopAsyncIteration at its end."""
        while not self._items:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._ended:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        taken = self._items.popleft()
        self._taken.set()
        return taken

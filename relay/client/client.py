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
from relay.client.conversation import Conversation
from relay.client.items import Item, Message, Position, Room
from relay.client.live import TaskList, Timeline
from relay.client.rooms import Noted, Wanted, WantedList, WantedTask
from relay.client.tokens import TokenSource
from relay.protocol.types import DASHBOARD_LIMIT_DEFAULT

INBOX_MAX_ITEMS = 256  # past it nothing more is read, and the relay sees a slow reader
SINCE_MAX = 2**31 - 1  # more events than a document can hold; a larger one is nobody's position


def connect(url: str, token: TokenSource) -> Client:
    """A client of the relay at this address: enter it with `async with`, then iterate.

    `token` is a JSON Web Token, or a callable that returns one (or an awaitable of one) and is asked for each
    connection and before a token ends. Raises ValueError for an address or a token that cannot be one.
    """
    return Client(url, token)


class Client:
    """A connection that is kept, and the rooms that are wanted on it.

    Iterating yields `Message`, `Connected` and `Disconnected`, in the order things happened. It ends when the
    relay says it is done (1000) or the context is left, and raises ConnectionRefused where coming again is no
    use.
    The `TaskList` and each `Timeline` that a join returns show what has been iterated over so far.
    A token callable that raises, gives none or has no answer within 15 s is asked again, like a connection that
    is lost: `Disconnected` says so. A token that is refused is brought again, with pauses of up to 30 s, until
    the callable has another one or the relay takes it; one that was given as a text ends the iteration. The
    rooms may change at any time, before and during the context, from the event loop's
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
        self._views: dict[Room, TaskList | Timeline] = {}  # that were not left, and have not been seen to end
        self._runner: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The address of the WebSocket."""
        return self._conversation.url

    def join_dashboard(self, limit: int = DASHBOARD_LIMIT_DEFAULT) -> TaskList:
        """Want the list of tasks; called again, a fresh `dashboard:state` is asked for."""
        want = self._wanted.dashboard
        view = TaskList() if want is None else want.view
        self._wanted.dashboard = WantedList(view, limit)
        self._views[None] = view
        self._conversation.changed()
        return view

    def leave_dashboard(self) -> None:
        self._leave(None)

    def join_task(self, task_id: str, since: int | None = None, head: str | None = None) -> Timeline:
        """Want one task, from the start or from a position received earlier; called again, a fresh
        `task:state` is asked for. Raises ValueError for an id or a position that cannot be one.

        A task that may not be seen ends its timeline with the state "forbidden", and is not asked for by itself
        again: join it when the list shows it.
        """
        task_id.encode()
        if (since is None) != (head is None):
            raise ValueError("since counts only together with head")
        if since is not None and not 0 <= since <= SINCE_MAX:
            raise ValueError("since must be a number of events")
        want = self._wanted.tasks.get(task_id)
        view = Timeline(task_id) if want is None else want.view
        position = None if since is None or head is None else Position(since, head)
        view.ask(position)
        self._wanted.tasks[task_id] = WantedTask(view, position)
        self._views[task_id] = view
        self._conversation.changed()
        return view

    def leave_task(self, task_id: str) -> None:
        self._leave(task_id)

    def _leave(self, room: Room) -> None:
        self._wanted.lose(room)
        self._conversation.changed()
        if (view := self._views.pop(room, None)) is not None:
            view.end("left")

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
        """Bring the view that this message belongs to up to date: that is noted when it arrives, and it may be
        iterated over when its room has long been left and joined again."""
        view = noted.view
        if view is None:
            return
        if noted.effect == "end":
            view.end(str(message.data.get("code")))
        elif isinstance(view, Timeline) and noted.effect == "clear":
            view.clear()
        else:
            if isinstance(view, Timeline) and noted.effect == "begin":
                view.begin(noted.position)
            view.show(message)
        room = view.task_id if isinstance(view, Timeline) else None
        if view.has_ended and self._views.get(room) is view:
            del self._views[room]


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

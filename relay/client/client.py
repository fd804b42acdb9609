"""The reconnecting client of the relay: the caller joins the list and tasks, and receives messages and live views."""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Self, cast

from relay.client.address import websocket_url
from relay.client.debug import DebugReport, Notes, rooms_of, token_times
from relay.client.events import ConnectionRefused, Item, Message, Position, Room
from relay.client.reconnector import Reconnector
from relay.client.subscriptions import Outcome, Wanted, WantedList, WantedTask
from relay.client.tokens import TokenSource
from relay.client.typed_messages import Callback, TypedMessages, Unsubscribe
from relay.client.views import ErrorState, TaskList, Timeline
from relay.protocol.types import DASHBOARD_LIMIT_DEFAULT, Claims, Kind

# At this many items the client stops reading, so TCP back-pressure shows the relay a slow reader.
QUEUE_MAX_ITEMS = 256
SINCE_MAX = 2**31 - 1  # more events than a document can hold, so a larger position is invalid


def connect(url: str, token: TokenSource) -> Client:
    """Make a client of the relay at this address: enter it with `async with`, then iterate.

    `token` is a JSON Web Token, or a callable that returns one (or an awaitable of one). The callable is called for
    each connection and before a token expires. Raises ValueError for an invalid address or token.
    """
    return Client(url, token)


class Client(TypedMessages):
    """A connection that is reopened whenever it is lost, with the list and the tasks joined on it.

    Iterating yields `Message`, `Connected` and `Disconnected` in the order they happened. The iteration ends when
    the relay closes with 1000 or the context is left. It raises ConnectionRefused when reconnecting cannot help.
    The `TaskList` and each `Timeline` that a join returns show what has been iterated over so far. One task iterates
    at a time: a second one raises RuntimeError, because each would get only some of the items.

    A token callable that raises, returns nothing or takes longer than 15 s counts as a lost connection: the iteration
    yields `Disconnected` and the callable is called again. A token from a callable that the relay refuses is sent
    again, with delays of up to 30 s, until the callable returns another one or the relay accepts it. A refused token
    that was given as a string ends the iteration with ConnectionRefused.

    Join and leave at any time, before and inside the context, from the event loop's thread.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random.random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Set up the client without connecting. Raises ValueError for an invalid address or token."""
        self._wanted = Wanted()
        self._wall = wall  # seconds since the epoch
        self._notes = Notes(wall())
        self._queue = ItemQueue(self._notes, wall)
        self._reconnector = Reconnector(
            websocket_url(url), token, self._wanted, self._queue, clock=clock, sleep=sleep, random=random
        )
        self._me: Claims = {}
        self._views: dict[Room, TaskList | Timeline] = {}  # neither left nor ended, as far as iterated
        self._runner: asyncio.Task[None] | None = None
        self._callbacks: dict[
            str, dict[object, Callback[Any]]
        ] = {}  # by the type of the message, in their order
        self._iterator: asyncio.Task[Any] | None = None  # waits for an item

    @property
    def url(self) -> str:
        """The relay's WebSocket address."""
        return self._reconnector.url

    @property
    def me(self) -> Claims:
        """What the user has of the claims that tasks wait for, as `{"sub": ["alice"]}`, as far as iterated over; empty
        before the first `welcome`. A task waits for the user if one of these values is in its `waitsFor`."""
        return self._me

    def debug(self, *, payloads: bool = False) -> DebugReport:
        """Return how the connection is and how it came to be so, for a report of a fault: its state and transport, the
        positions, the last 50 messages and states, the delays and the times of the token. It has no token, and nothing
        that a task holds. With `payloads` it also has the JSON of the messages that arrive after the first such call.
        """
        self._notes.keeps_payloads |= payloads
        connection, last = self._reconnector.connection, self._notes.statuses[-1]
        return {
            "at": self._wall(),
            "state": last["state"],
            "why": last.get("reason"),
            "code": last.get("code"),
            "transport": "websocket" if last["state"] == "live" else None,
            "token": token_times(
                connection.token if connection is not None else self._reconnector.last_token
            ),
            "reconnects": max(0, self._notes.connects - 1),
            "received": self._notes.received,
            "waiting": len(self._queue),
            "delays": self._notes.delays(),
            "rooms": rooms_of(self._views.values()),
            "statuses": [status.copy() for status in self._notes.statuses],
            "messages": self._notes.messages(payloads=payloads),
        }

    def join_dashboard(self, limit: int = DASHBOARD_LIMIT_DEFAULT) -> TaskList:
        """Join the list of tasks. A second call requests a new `dashboard:state` and returns the same view."""
        want = self._wanted.dashboard
        view = TaskList() if want is None else want.view
        self._wanted.dashboard = WantedList(view, limit)
        self._views[None] = view
        self._reconnector.changed()
        return view

    def leave_dashboard(self) -> None:
        """Leave the list of tasks: its view ends with the state "left"."""
        self._leave(None)

    def join_task(self, task_id: str, since: int | None = None, head: str | None = None) -> Timeline:
        """Join one task, from the start or from a position received earlier. A second call requests a fresh
        `task:state` and returns the view of the first. Raises ValueError for an invalid id or position.

        If the user may not see the task, its timeline ends with the state "forbidden" and the client does not join it
        again by itself. Call `join_task` again once the list shows the task.
        """
        task_id.encode()  # raises UnicodeEncodeError, a ValueError, for a lone surrogate
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
        self._reconnector.changed()
        return view

    def leave_task(self, task_id: str) -> None:
        """Leave one task: its view ends with the state "left"."""
        self._leave(task_id)

    def _leave(self, room: Room) -> None:
        self._wanted.remove(room)
        self._reconnector.changed()
        if (view := self._views.pop(room, None)) is not None:
            view.end("left")

    async def __aenter__(self) -> Self:
        if self._runner is not None:
            raise RuntimeError("a Client is entered once")
        # Not a TaskGroup: a failure is raised to the iterating task and must not cancel the task that entered.
        self._runner = asyncio.create_task(self._queue.fill_from(self._reconnector), name="relay client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        self._runner.cancel()
        try:
            await asyncio.wait({self._runner})
        except asyncio.CancelledError:
            self._runner.cancel()  # skip the closing handshake: the second cancellation aborts the socket
            await asyncio.wait({self._runner})
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        if self._runner is None:
            raise RuntimeError("iterate inside `async with client`")
        iterator = asyncio.current_task()
        if self._iterator is not None and not self._iterator.cancelling():
            raise RuntimeError("another task iterates over this client")
        self._iterator = iterator
        try:
            item, outcome = await self._queue.take()
        finally:
            if self._iterator is iterator:
                self._iterator = None
        if isinstance(item, Message):
            self._show(item, outcome)
            for callback in [*self._callbacks.get(item.type, {}).values()]:
                callback(item.data, item)
        return item

    async def run(self) -> None:
        """Iterate to the end, for a program that needs only callbacks and views. Raises as the iteration does."""
        async for _ in self:
            pass

    def _listen(self, type: str, callback: Callback[Any]) -> Unsubscribe:
        if not callable(callback):
            raise TypeError(f"a callback has to be callable, and {callback!r} is not")
        if inspect.iscoroutinefunction(callback):
            raise TypeError("a callback is called and not awaited, so it cannot be a coroutine function")
        of_type, key = self._callbacks.setdefault(type, {}), object()  # a callback may be added twice
        of_type[key] = callback

        def remove() -> None:
            of_type.pop(key, None)

        return remove

    async def _select(self, type: str) -> AsyncIterator[Message[Any]]:
        async for item in self:
            if isinstance(item, Message) and item.type == type:
                yield item

    def _show(self, message: Message, outcome: Outcome) -> None:
        """Apply a message to the view it belongs to. The view was determined when the message arrived, because the
        task may have been left and joined again before the message is iterated over."""
        match message.type, message.data:
            case Kind.WELCOME | Kind.AUTH_OK, {"claims": dict(claims)}:
                self._me = claims
            case Kind.WELCOME, {"sub": str(sub)}:  # of a relay that says nothing of claims
                self._me = {"sub": [sub]}
        view = outcome.view
        if view is None:
            return
        if outcome.effect == "end":
            view.end(cast(ErrorState, str(message.data.get("code"))))
        elif isinstance(view, Timeline) and outcome.effect == "clear":
            view.clear()
        else:
            if isinstance(view, Timeline) and outcome.effect == "begin":
                view.begin(outcome.position)
            view.show(message)
        room = view.task_id if isinstance(view, Timeline) else None
        if view.has_ended and self._views.get(room) is view:
            del self._views[room]


class ItemQueue:
    """Items received and not yet iterated over. At QUEUE_MAX_ITEMS the reconnector stops reading the socket."""

    def __init__(self, notes: Notes, wall: Callable[[], float]) -> None:
        self._notes = notes
        self._wall = wall  # seconds since the epoch
        self._items: deque[tuple[Item, Outcome]] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self._items)

    async def fill_from(self, reconnector: Reconnector) -> None:
        """Run the reconnector, which puts items here, and keep its error for `take`."""
        try:
            await reconnector.run()
        except Exception as error:
            if isinstance(error, ConnectionRefused):
                self._notes.refused(error.reason, error.code, self._wall())
            self._error = error  # `take` raises it after the items that were received before it
        finally:
            self._ended = True
            self._arrived.set()

    async def wait_for_space(self) -> None:
        """Return once the queue has space for one more item."""
        while len(self._items) >= QUEUE_MAX_ITEMS:
            self._taken.clear()
            await self._taken.wait()

    def put(self, item: Item, outcome: Outcome) -> None:
        """Append an item. Call `wait_for_space` first: `put` itself has no limit."""
        self._notes.note(item, self._wall())
        self._items.append((item, outcome))
        self._arrived.set()

    async def take(self) -> tuple[Item, Outcome]:
        """Return the next item. Raises the error that ended the reconnector, once, then StopAsyncIteration."""
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

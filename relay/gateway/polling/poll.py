"""One poll: it waits until something that it asks for is newer than what the client has. Knows no HTTP.

Rules of this file: each item that is asked for subscribes as a WebSocket would, so it learns of every change after its
state; if an item is revoked while the poll collects, it is read again, and the old state is never sent; cancelling
`Poll.answer` ends the poll and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

import orjson

from relay.auth.limits import TokenBucket
from relay.errors import Unavailable
from relay.gateway.services import Services
from relay.hub.listener import Listener
from relay.hub.reads import CATCH_UP_S
from relay.protocol import polls
from relay.protocol.frames import Batch, Frame
from relay.protocol.polls import PolledList, PolledTask, shown_moment
from relay.protocol.types import ErrorCode, Kind
from relay.tasks.visibility import Principal

# Whatever exceeds this is left to the next poll. Once this many bytes are collected, only the first page of each
# further timeline is kept.
MAX_ANSWER_BYTES = 4 * 1024 * 1024
ETAG_VERSION = "1."
# A poll gives up after this time, even if the read that it shares with other clients is still being retried for them.
GATHER_S = 20.0
# A poll reads again after a change that may concern its client, and after a revocation while it reads. Many such
# changes bring the client nothing, for example those of tasks past the end of its list. So a poll may read again this
# many times in a row, and then this often.
REJOIN_BURST, REJOINS_PER_SECOND = 5, 1.0


@dataclass(frozen=True, slots=True)
class News:
    """What the client does not have yet of one item.

    `task_id` is None for the list. `parts` are messages, or several joined by commas; the answer may end after any of
    them. `etag` stands for what the client has once it has all parts; None if it then has nothing, or not all. Without
    `whole` the item has more pages than these, which the next poll brings.
    """

    task_id: str | None
    parts: Sequence[bytes]
    etag: str | None = None
    whole: bool = True


class Subscriber(ABC):
    """A listener of one item, and what it received since it joined. `notify` is called at each change of it."""

    def __init__(self, services: Services, principal: Principal, notify: Callable[[], None]) -> None:
        self._services = services
        self._notify = notify
        self._listener = Listener(
            services.audience.keys_for(principal),
            partial(services.audience.filter_for, principal),
            user=principal.sub,
            receiver=self,
        )
        self._pages: list[Frame] = []
        self.complete = False  # the last page of the state has come, or an error instead of the state
        self.outdated = False  # something has changed since
        self.revoked = False  # what has come must not be shown any more

    def join(self) -> None:
        """Ask for the state, also if it was asked for before."""
        self.leave()
        self._pages, self.complete, self.outdated, self.revoked = [], False, False, False
        self._join()

    def leave(self) -> None:
        self._services.hub.leave(self._listener)

    def end(self) -> None:
        """Leave, and break the reference cycle with the listener: a state may have megabytes, which must not stay in
        memory until Python's garbage collector runs."""
        self.leave()
        self._pages = []
        del self._listener

    def release_pages(self) -> None:
        """Drop the state, so that a poll which has nothing to answer yet holds no megabytes while it waits."""
        self._pages = []

    def must_read_again(self) -> bool:
        return self.outdated or self.revoked

    @property
    def held_bytes(self) -> int:
        return sum(len(page.body) for page in self._pages)

    @abstractmethod
    def news(self) -> News | None:
        """What the client does not have yet of a complete state; None if it has everything. Raises Unavailable."""

    @abstractmethod
    def _join(self) -> None: ...

    # Called by the hub (hub.listener.Receiver).

    def answer(self, frame: Frame) -> None:
        if self.complete:
            self.revoked = True  # or deleted; or the relay lost its position, and this is another state
        else:
            self._pages.append(frame)
            self.complete = frame.last
        self._notify()

    def send(self, batch: Batch) -> None:
        self.outdated = True
        self._notify()

    def answer_pages(self, pages: Iterable[Frame], size: int) -> None:
        for page in pages:
            self.answer(page)

    def pin(self) -> bool:
        return True  # a poll drops nothing of what it collects

    def has_room(self) -> bool:
        return True


class TaskSubscriber(Subscriber):
    """Subscribes to a task with its events. `has_room` says whether more pages fit into the answer."""

    def __init__(
        self,
        services: Services,
        principal: Principal,
        notify: Callable[[], None],
        polled: PolledTask,
        has_room: Callable[[], bool],
    ) -> None:
        super().__init__(services, principal, notify)
        self.polled = polled
        self._has_room = has_room

    def news(self) -> News | None:
        task_id = self.polled.task_id
        bodies = [page.body for page in self._pages]
        if _is_refused(self._pages):
            return None if self.polled.forbidden else News(task_id, bodies)
        if not self._pages[-1].last:
            return News(task_id, bodies, whole=False)
        state = self._pages[0].data
        etag = _etag([orjson.dumps(state["task"], option=orjson.OPT_SORT_KEYS)])
        brings = state["reset"] or state["more"] or state["from"] < state["next"]
        return News(task_id, bodies, etag) if brings or etag != self.polled.etag else None

    def answer(self, frame: Frame) -> None:
        if self.complete or not self._pages or self._has_room():
            super().answer(frame)
        elif frame.last:
            self.complete = True
            self._notify()

    def _join(self) -> None:
        polled = self.polled
        self._services.hub.join_task(
            self._listener, polled.task_id, polled.since, polled.head, None, caught_up=True
        )


class ListSubscriber(Subscriber):
    """Subscribes to the list."""

    def __init__(
        self, services: Services, principal: Principal, notify: Callable[[], None], polled: PolledList
    ) -> None:
        super().__init__(services, principal, notify)
        self._polled = polled

    def news(self) -> News | None:
        _is_refused(self._pages)
        bodies = [page.body for page in self._pages]
        etag = _etag(bodies)
        if etag == self._polled.etag:
            return None
        return News(None, [b",".join(bodies)], etag)  # one part: a client cannot use half a list

    def _join(self) -> None:
        self._services.hub.join_list(self._listener, self._polled.limit, None, caught_up=True)

    def send(self, batch: Batch) -> None:
        # This also happens for a revocation that came while the state was read: it is sent after the state, like every
        # update of that time.
        if any(frame.data.get("change") == "revoked" for frame in batch.frames):
            self.revoked = True
        super().send(batch)


class VisibilityWatch(Subscriber):
    """Notices when one of the tasks that the user may not see becomes visible. It subscribes to the list, and ignores
    the list's state: only updates after it matter."""

    def __init__(
        self,
        services: Services,
        principal: Principal,
        notify: Callable[[], None],
        hidden: dict[str, TaskSubscriber],
    ) -> None:
        super().__init__(services, principal, notify)
        self._hidden = hidden  # by taskId

    def news(self) -> None:
        _is_refused(self._pages)

    def _join(self) -> None:
        self._services.hub.join_list(self._listener, 1, None, caught_up=True)

    def answer(self, frame: Frame) -> None:
        if not self.complete:
            super().answer(frame)
        elif frame.kind is Kind.DASHBOARD_STATE:
            # The relay lost its position in the change stream: any task may have become visible.
            self._mark(self._hidden)

    def send(self, batch: Batch) -> None:
        self._mark(frame.data["taskId"] for frame in batch.frames if frame.data.get("change") == "upserted")

    def _mark(self, task_ids: Iterable[str]) -> None:
        for task_id in task_ids:
            if (subscriber := self._hidden.get(task_id)) is not None:
                subscriber.outdated = True
                self._notify()


class Poll:
    """One poll, from what is asked for to its answer."""

    def __init__(self, services: Services, principal: Principal, request: polls.Poll) -> None:
        self._services = services
        self._moment = request.moment
        self._reads = TokenBucket(REJOINS_PER_SECOND, REJOIN_BURST, services.monotonic())
        self._changed = asyncio.Event()  # of a subscriber
        who = services, principal, self._changed.set
        tasks = [TaskSubscriber(*who, polled, self._has_room) for polled in request.tasks]
        self._subscribers: list[Subscriber] = [*tasks]
        if request.dashboard is not None:
            self._subscribers.append(ListSubscriber(*who, request.dashboard))
        hidden = {one.polled.task_id: one for one in tasks if one.polled.forbidden}
        if hidden:
            self._subscribers.append(VisibilityWatch(*who, hidden))

    async def answer(self, wait_s: float) -> bytes:
        """Return the JSON of the answer: immediately if anything is newer than what the client has, otherwise as soon
        as something is. After `wait_s` seconds it is an answer without messages. Raises Unavailable."""
        end = asyncio.get_running_loop().time() + wait_s
        try:
            news = await self._first_news()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    while not news:
                        await self._until(lambda: bool(self._outdated_subscribers()))
                        await self._paced()
                        news = await self._gather(self._outdated_subscribers())
            return self._body(news)
        finally:
            while self._subscribers:  # `notify` makes them refer to this poll
                self._subscribers.pop().end()

    async def _first_news(self) -> list[News]:
        """What is new of all items, once all of them have been read. Raises Unavailable."""
        try:
            async with asyncio.timeout(GATHER_S):
                await self._catch_up()
                return await self._gather(self._subscribers)
        except TimeoutError:
            raise Unavailable("a poll could not be read in time") from None

    async def _gather(self, subscribers: Sequence[Subscriber]) -> list[News]:
        """Read these items, and return what is new of them. An item that is revoked meanwhile is read again."""
        asked = subscribers
        while asked:
            for one in asked:
                one.join()
            await self._until(lambda: all(one.complete for one in subscribers))
            if any(one.revoked for one in subscribers):
                await self._paced()
            asked = [one for one in subscribers if one.revoked]
        # Nothing below waits, so nothing can be revoked before the answer is made.
        news = [new for one in subscribers if (new := one.news()) is not None]
        for one in subscribers:
            one.release_pages()
        return news

    async def _paced(self) -> None:
        await asyncio.sleep(self._reads.take(self._services.monotonic()))

    async def _catch_up(self) -> None:
        """Wait until this instance has published what another one may have sent to the client already, so that the
        client is not sent back in time. A client that used a WebSocket until now brings no moment: then wait for
        everything that the database holds."""
        if self._moment is None:
            await self._services.hub.catch_up_with_database()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                await self._services.hub.reached(self._moment)

    def _has_room(self) -> bool:
        return sum(one.held_bytes for one in self._subscribers) < MAX_ANSWER_BYTES

    def _outdated_subscribers(self) -> list[Subscriber]:
        return [one for one in self._subscribers if one.must_read_again()]

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._changed.clear()
            await self._changed.wait()

    def _body(self, news: Sequence[News]) -> bytes:
        """The JSON of what is new, as far as it fits. At least one part always fits."""
        hub = self._services.hub
        messages: list[bytes] = []
        body: dict[str, Any] = {"moment": shown_moment(hub.position)}
        left = MAX_ANSWER_BYTES
        parts = [(item, part) for item in news for part in item.parts]
        for item, part in parts:
            if messages and len(part) > left:
                body["more"] = True
                break
            messages.append(part)
            left -= len(part)
            if part is item.parts[-1] and not item.whole:
                body["more"] = True
            if part is item.parts[-1] and item.etag is not None:
                if item.task_id is None:
                    body["dashboard"] = {"etag": item.etag}
                else:
                    body.setdefault("tasks", {})[item.task_id] = {"etag": item.etag}
        if hub.status == "stale":
            messages.append(hub.status_frame().body)
        return orjson.dumps({"messages": orjson.Fragment(b"[" + b",".join(messages) + b"]"), **body})


def _is_refused(answer: Sequence[Frame]) -> bool:
    """Is this an error instead of a state? Raises Unavailable if it is a temporary one."""
    if answer[0].kind is not Kind.ERROR:
        return False
    if answer[0].data["code"] == ErrorCode.UNAVAILABLE:
        raise Unavailable("a poll could not be read")
    return True


def _etag(shown: Iterable[bytes]) -> str:
    """A digest of what is shown. It is equal on all instances."""
    digest = blake2b(digest_size=16)
    for part in shown:
        digest.update(part)
    return ETAG_VERSION + digest.hexdigest()

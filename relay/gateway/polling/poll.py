"""One poll: waits until something that the client asks for is newer than what the client has. Knows no HTTP.

An *item* is a task or the list of tasks. Its *state* is a snapshot of it, in one or more messages (*pages*). An item is
*revoked* when the user loses the right to see it, or part of it, or when what was read so far is no longer valid.

Rules of this file: a poll subscribes to each item as a WebSocket connection would, so no change after the state is
missed; if an item is revoked while the poll collects, it is read again, and the old state is never sent; cancelling
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
from relay.protocol.frames import Batch, Frame, error
from relay.protocol.polls import PolledList, PolledTask, shown_moment
from relay.protocol.types import ErrorCode, Kind
from relay.tasks.visibility import Principal

# An answer has at most about this many bytes; the next poll brings the rest. When the poll has collected this many
# bytes, it keeps only the first page of each further timeline.
MAX_ANSWER_BYTES = 4 * 1024 * 1024
ETAG_VERSION = "1."
# A poll fails after this many seconds, even if the read of the database that it waits for has not ended.
GATHER_S = 20.0
# A poll reads an item again after a change that may concern its client, and after a revocation that comes while it
# reads. Many such changes bring the client nothing, for example changes of tasks past the end of its list. So a poll
# may read again REJOIN_BURST times in a row, and after that REJOINS_PER_SECOND times a second.
REJOIN_BURST, REJOINS_PER_SECOND = 5, 1.0


@dataclass(frozen=True, slots=True)
class News:
    """What the client still lacks of one item (a task or the list).

    `task_id` is None for the list. Each of `parts` is the JSON of one message, or of several messages joined by commas;
    the answer may end after any part. `etag` identifies what the client holds after it has received all parts; it is
    None if the task is refused, or if `whole` is False: then the item has further pages, which the next poll brings.
    """

    task_id: str | None
    parts: Sequence[bytes]
    etag: str | None = None
    whole: bool = True


class Subscriber(ABC):
    """A subscription of a poll to one item (a task or the list), with what has been received since it joined.

    `notify` is called each time something is received. `complete`, `outdated` and `revoked` say what was received: the
    whole state (snapshot) of the item; a change after it; a message that makes the state invalid.
    """

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
        self.complete = False  # the last page of the state has come, or an error in place of the state
        self.outdated = False  # the item has changed since it was joined
        self.revoked = False  # what was received must not be sent to the client any more

    def join(self) -> None:
        """Subscribe and ask for the state (a snapshot) of the item. Drops what was received before, if anything was."""
        self._services.hub.leave_all(self._listener)
        self._pages, self.complete, self.outdated, self.revoked = [], False, False, False
        self._join()

    def end(self) -> None:
        """End the subscription, and break the reference cycle with the listener: a state (a snapshot) may have
        megabytes, which must not stay in memory until Python's garbage collector runs. The object must not be used
        after this."""
        self._services.hub.leave(self._listener)
        self._pages = []
        del self._listener

    def release_pages(self) -> None:
        """Drop the received state (a snapshot), so that a poll that has nothing to answer yet holds no megabytes of
        it."""
        self._pages = []

    def must_read_again(self) -> bool:
        return self.outdated or self.revoked

    @property
    def held_bytes(self) -> int:
        return sum(len(page.body) for page in self._pages)

    @abstractmethod
    def news(self) -> News | None:
        """Return what the client does not have yet of the item, or None if the client has everything.

        To be called when `complete` is True. Raises Unavailable if the item could not be read for now.
        """

    @abstractmethod
    def _join(self) -> None: ...

    # Called by the hub (hub.listener.Receiver).

    def answer(self, frame: Frame) -> None:
        if self.complete:
            self.revoked = True  # or deleted; or this is a new state, because the relay lost its position
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

    def fail(self) -> None:
        # A poll that still collects is refused with 503. One that waits reads the item again.
        self.revoked |= self.complete
        self._pages, self.complete = [error(ErrorCode.UNAVAILABLE, "The item could not be read.")], True
        self._notify()


class TaskSubscriber(Subscriber):
    """Subscribes to a task with its events. `polled` says what the client has of that task, and `has_room` whether more
    pages fit into the answer."""

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
    """Subscribes to the list of tasks. `polled` says how many tasks the client asks for, and what it has of the
    list."""

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
        # A revocation that came while the state was being read also arrives here: the hub sends it after the state,
        # like every update that came during the read.
        if any(frame.data.get("change") == "revoked" for frame in batch.frames):
            self.revoked = True
        super().send(batch)


class VisibilityWatch(Subscriber):
    """Notices when one of the `hidden` tasks, which the user was not permitted to see, becomes visible.

    It subscribes to the list of tasks, ignores the list's state (a snapshot), and looks only at the updates after it.
    When a hidden task appears there, the subscriber of that task is marked as outdated, so that the poll reads it.
    """

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
    """One poll: subscribes to the items (tasks and the list) that a request asks for, and makes the answer."""

    def __init__(self, services: Services, principal: Principal, request: polls.Poll) -> None:
        self._services = services
        self._moment = request.moment
        self._reads = TokenBucket(REJOINS_PER_SECOND, REJOIN_BURST, services.monotonic())
        self._changed = asyncio.Event()  # set when a subscriber has received something
        who = services, principal, self._changed.set
        tasks = [TaskSubscriber(*who, polled, self._has_room) for polled in request.tasks]
        self._subscribers: list[Subscriber] = [*tasks]
        if request.dashboard is not None:
            self._subscribers.append(ListSubscriber(*who, request.dashboard))
        hidden = {one.polled.task_id: one for one in tasks if one.polled.forbidden}
        if hidden:
            self._subscribers.append(VisibilityWatch(*who, hidden))

    async def answer(self, wait_s: float) -> bytes:
        """Return the JSON of the answer, as soon as anything is newer than what the client has, which may be at once.
        After `wait_s` seconds without news, return an answer without news.

        Raises Unavailable if the database did not answer. Must be called once only.
        """
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
            while self._subscribers:  # `notify` makes them refer to this poll: a reference cycle
                self._subscribers.pop().end()

    async def _first_news(self) -> list[News]:
        """Read all items, and return what is new for the client. Raises Unavailable if an item cannot be read for now,
        or if reading takes longer than GATHER_S seconds."""
        try:
            async with asyncio.timeout(GATHER_S):
                await self._catch_up()
                return await self._gather(self._subscribers)
        except TimeoutError:
            raise Unavailable("a poll could not be read in time") from None

    async def _gather(self, subscribers: Sequence[Subscriber]) -> list[News]:
        """Read the items of these subscribers, and return what is new for the client. An item that is revoked during
        the read (the user may no longer see what was read) is read again. Raises Unavailable if an item cannot be
        read."""
        asked = subscribers
        while asked:
            for one in asked:
                one.join()
            await self._until(lambda: all(one.complete for one in subscribers))
            if any(one.revoked for one in subscribers):
                await self._paced()
            asked = [one for one in subscribers if one.revoked]
        # There is no `await` from here on, so nothing can be revoked before the answer is made.
        news = [new for one in subscribers if (new := one.news()) is not None]
        for one in subscribers:
            one.release_pages()
        return news

    async def _paced(self) -> None:
        await asyncio.sleep(self._reads.take(self._services.monotonic()))

    async def _catch_up(self) -> None:
        """Wait until this relay instance has published everything that another instance may already have sent to the
        client, so that the client is not sent an older state. Waits CATCH_UP_S seconds at most.

        The request contains the moment (cluster time) of the client's last answer. A client that used a WebSocket until
        now has no moment: then wait for everything that the database holds now. Raises Unavailable if the database does
        not tell its time.
        """
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
        """Return the JSON of the answer with as many parts of the news as fit into MAX_ANSWER_BYTES. The first part is
        always included, however large it is. `"more": true` in the answer says that the next poll will bring further
        parts."""
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
    """Return whether the hub answered with a final error, such as `forbidden`, in place of a state (a snapshot). Raises
    Unavailable if the error is temporary."""
    if answer[0].kind is not Kind.ERROR:
        return False
    if answer[0].data["code"] == ErrorCode.UNAVAILABLE:
        raise Unavailable("a poll could not be read")
    return True


def _etag(shown: Iterable[bytes]) -> str:
    """Return the ETag of what a client is shown: a digest of these byte strings in their order, with a version before
    it. All relay instances return the same ETag for the same content."""
    digest = blake2b(digest_size=16)
    for part in shown:
        digest.update(part)
    return ETAG_VERSION + digest.hexdigest()

"""One poll: waits until something that the client asks for is newer than what the client has. Knows no HTTP.

An *item* is a task or the list of tasks. Its *state* is a snapshot of it, in one or more messages (*pages*). An item is
*revoked* when the user loses the right to see it, or part of it, or when what was read so far is no longer valid.

Rules of this file: a poll subscribes to each item as a WebSocket connection would, so no change after the state is
missed; if an item is revoked while the poll collects, it is read again, and the old state is never sent; cancelling
`Poll.answer` ends the poll and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import orjson

from relay.auth.limits import TokenBucket
from relay.errors import Unavailable
from relay.gateway.expiry import NOTICE_S, expiry_notice
from relay.gateway.polling.subscribers import (
    ListSubscriber,
    News,
    Subscriber,
    TaskSubscriber,
    UpdatedList,
    VisibilityWatch,
)
from relay.gateway.services import Services
from relay.hub.listener import Listener
from relay.hub.reads import CATCH_UP_S
from relay.protocol import polls
from relay.protocol.polls import shown_moment
from relay.tasks.visibility import Principal

# An answer has at most about this many bytes; the next poll brings the rest. When the poll has collected this many
# bytes, it keeps only the first page of each further timeline.
MAX_ANSWER_BYTES = 4 * 1024 * 1024
# A poll fails after this many seconds, even if the read of the database that it waits for has not ended.
GATHER_S = 20.0
# A poll reads an item again after a change that may concern its client, and after a revocation that comes while it
# reads. Many such changes bring the client nothing, for example changes of tasks past the end of its list. So a poll
# may read again REJOIN_BURST times in a row, and after that REJOINS_PER_SECOND times a second.
REJOIN_BURST, REJOINS_PER_SECOND = 5, 1.0


class Poll:
    """One poll: subscribes to the items (tasks and the list) that a request asks for, and makes the answer."""

    def __init__(self, services: Services, principal: Principal, request: polls.Poll) -> None:
        self._services = services
        self._principal = principal
        self._moment = request.moment
        self._reads = TokenBucket(REJOINS_PER_SECOND, REJOIN_BURST, services.monotonic())
        self._changed = asyncio.Event()  # set when a subscriber has received something
        who = services, principal, self._changed.set
        tasks = [TaskSubscriber(*who, polled, self._has_room) for polled in request.tasks]
        self._subscribers: list[Subscriber] = [*tasks]
        self._updated: UpdatedList | None = None
        if request.dashboard is not None:
            if request.dashboard.updates:
                self._updated = UpdatedList(*who, request.dashboard)
            self._subscribers.append(self._updated or ListSubscriber(*who, request.dashboard))
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
                        if any(one.reads for one in self._outdated_subscribers()):
                            await self._paced()
                        news = await self._gather(self._outdated_subscribers())
            return self._body(news)
        finally:
            self._updated = None
            while self._subscribers:  # `notify` makes them refer to this poll: a reference cycle
                self._subscribers.pop().end()

    def listeners(self) -> Iterator[Listener]:
        """Yield the listeners through which the poll receives changes now."""
        for one in self._subscribers:
            yield one.listener

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
        pause_s = self._reads.take(self._services.monotonic())
        if pause_s > 0:
            # The read that waits counts now. Otherwise the one after it would pass at once: twice as many as permitted.
            self._reads.charge(1)
            await asyncio.sleep(pause_s)

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
        body: dict[str, Any] = {
            "moment": shown_moment(hub.position),
            **self._services.audience.announced_to(self._principal),
        }
        # The list is as the client holds it. The next poll brings its new position, so that it can be answered without
        # a read also if this position is soon too long ago.
        if (
            self._updated is not None
            and all(item.task_id is not None for item in news)
            and (etag := self._updated.etag)
        ):
            body["dashboard"] = {"etag": etag}
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
        expires_at = self._principal.expires_at
        if expires_at - self._services.wall() <= NOTICE_S:
            messages.append(expiry_notice(expires_at).body)
        return orjson.dumps({"messages": orjson.Fragment(b"[" + b",".join(messages) + b"]"), **body})

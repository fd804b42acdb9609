"""One poll: what is asked for, until something of it is newer than the client has it. Knows no HTTP.

Rules of this file: each thing asked for has a seat, which joins it as a WebSocket would and so hears of
every change after its state; a state that a revocation followed is read again, never sent; whoever
cancels `answer` ends the poll, and nothing of it stays.
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
from relay.protocol import messages
from relay.protocol.frames import Batch, Frame
from relay.protocol.messages import PolledList, PolledTask, shown_moment
from relay.protocol.types import ErrorCode, Kind
from relay.tasks.visibility import Principal

# What does not fit is left to the next poll; past so much only the first page of a timeline is kept.
MAX_ANSWER_BYTES = 4 * 1024 * 1024
ETAG_VERSION = "1."
GATHER_S = 20.0  # a read that goes on trying, for others who depend on it, must not keep a poll for ever
# Changes that turn out to be none of the client's, such as those of tasks past the end of its list, make
# a poll read again, and so do revocations while it reads: so many times at once, then about so often.
REJOIN_BURST, REJOINS_PER_SECOND = 5, 1.0


@dataclass(frozen=True, slots=True)
class News:
    """What the client does not have yet of a task, or of its dashboard (None), in parts that may go by
    themselves; and the `etag` of what it has then, where it will have something. Not `whole`: more pages of it
    than these are for the next poll."""

    task_id: str | None
    parts: Sequence[bytes]
    etag: str | None = None
    whole: bool = True


class Seat(ABC):
    """A listener of one thing, and what came of it since it was joined."""

    def __init__(self, services: Services, principal: Principal, stir: Callable[[], None]) -> None:
        self._services = services
        self._stir = stir
        self._listener = Listener(
            services.audience.keys_for(principal),
            partial(services.audience.filter_for, principal),
            user=principal.sub,
            receiver=self,
        )
        self._pages: list[Frame] = []
        self.whole = False  # the state is there, or the error in its place
        self.moved = False  # it is not the newest any more
        self.void = False  # and may not be shown any more

    def join(self) -> None:
        """Ask for the state, anew if it was asked for before."""
        self.leave()
        self._pages, self.whole, self.moved, self.void = [], False, False, False
        self._join()

    def leave(self) -> None:
        self._services.hub.leave(self._listener)

    def end(self) -> None:
        """Leave for good. A state may have megabytes, which must not wait for Python to look for garbage."""
        self.leave()
        self._pages = []
        del self._listener  # it holds the seat

    def release_pages(self) -> None:
        """Drop the state: a poll that has nothing to answer yet must not hold megabytes while it waits."""
        self._pages = []

    def is_outdated(self) -> bool:
        return self.moved or self.void

    @property
    def held_bytes(self) -> int:
        return sum(len(page.body) for page in self._pages)

    @abstractmethod
    def news(self) -> News | None:
        """What the client does not have yet of a state that is whole. Raises Unavailable."""

    @abstractmethod
    def _join(self) -> None: ...

    # What the hub says (hub.listener.Receiver).

    def answer(self, frame: Frame) -> None:
        if self.whole:
            self.void = True  # revoked or gone; or the relay lost its place, and this is another state
        else:
            self._pages.append(frame)
            self.whole = frame.last
        self._stir()

    def send(self, batch: Batch) -> None:
        self.moved = True
        self._stir()

    def answer_pages(self, pages: Iterable[Frame], size: int) -> None:
        for page in pages:
            self.answer(page)

    def pin(self) -> bool:
        return True  # nothing that a poll collects is dropped

    def has_room(self) -> bool:
        return True


class TaskSeat(Seat):
    """A task with its events."""

    def __init__(
        self,
        services: Services,
        principal: Principal,
        stir: Callable[[], None],
        polled: PolledTask,
        has_room: Callable[[], bool],
    ) -> None:
        super().__init__(services, principal, stir)
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
        if self.whole or not self._pages or self._has_room():
            super().answer(frame)
        elif frame.last:
            self.whole = True
            self._stir()

    def _join(self) -> None:
        polled = self.polled
        self._services.hub.join_task(
            self._listener, polled.task_id, polled.since, polled.head, None, caught_up=True
        )


class ListSeat(Seat):
    """The dashboard."""

    def __init__(
        self, services: Services, principal: Principal, stir: Callable[[], None], polled: PolledList
    ) -> None:
        super().__init__(services, principal, stir)
        self._polled = polled

    def news(self) -> News | None:
        _is_refused(self._pages)
        bodies = [page.body for page in self._pages]
        etag = _etag(bodies)
        if etag == self._polled.etag:
            return None
        return News(None, [b",".join(bodies)], etag)  # half a list would be no list

    def _join(self) -> None:
        self._services.hub.join_list(self._listener, self._polled.limit, None, caught_up=True)

    def send(self, batch: Batch) -> None:
        # What was revoked while the state was read is told like everything else of that time.
        if any(frame.data.get("change") == "revoked" for frame in batch.frames):
            self.void = True
        super().send(batch)


class Watch(Seat):
    """What comes into view. Its state is none: of the list, only what is told after it matters."""

    def __init__(
        self, services: Services, principal: Principal, stir: Callable[[], None], hidden: dict[str, TaskSeat]
    ) -> None:
        super().__init__(services, principal, stir)
        self._hidden = hidden  # by taskId

    def news(self) -> None:
        _is_refused(self._pages)

    def _join(self) -> None:
        self._services.hub.join_list(self._listener, 1, None, caught_up=True)

    def answer(self, frame: Frame) -> None:
        if not self.whole:
            super().answer(frame)
        elif frame.kind is Kind.DASHBOARD_STATE:  # the relay lost its place: anything may have come
            self._look_for(self._hidden)

    def send(self, batch: Batch) -> None:
        self._look_for(
            frame.data["taskId"] for frame in batch.frames if frame.data.get("change") == "upserted"
        )

    def _look_for(self, task_ids: Iterable[str]) -> None:
        for task_id in task_ids:
            if (seat := self._hidden.get(task_id)) is not None:
                seat.moved = True
                self._stir()


class Poll:
    """One poll, from what is asked for to its answer."""

    def __init__(self, services: Services, principal: Principal, request: messages.Poll) -> None:
        self._services = services
        self._moment = request.moment
        self._pace = TokenBucket(REJOINS_PER_SECOND, REJOIN_BURST, services.monotonic())
        self._stirred = asyncio.Event()
        who = services, principal, self._stirred.set
        tasks = [TaskSeat(*who, polled, self._has_room) for polled in request.tasks]
        self._seats: list[Seat] = [*tasks]
        if request.dashboard is not None:
            self._seats.append(ListSeat(*who, request.dashboard))
        hidden = {seat.polled.task_id: seat for seat in tasks if seat.polled.forbidden}
        if hidden:
            self._seats.append(Watch(*who, hidden))

    async def answer(self, wait_s: float) -> bytes:
        """The answer's JSON: at once if anything is newer than what the client has, else as soon as it
        is, or after `wait_s` without messages. Raises Unavailable."""
        end = asyncio.get_running_loop().time() + wait_s
        try:
            news = await self._at_first()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    while not news:
                        await self._until(lambda: bool(self._outdated()))
                        await self._paced()
                        news = await self._gather(self._outdated())
            return self._body(news)
        finally:
            while self._seats:  # they lead back here
                self._seats.pop().end()

    async def _at_first(self) -> list[News]:
        """What is new of all, as soon as that is known. Raises Unavailable."""
        try:
            async with asyncio.timeout(GATHER_S):
                await self._catch_up()
                return await self._gather(self._seats)
        except TimeoutError:
            raise Unavailable("a poll could not be read in time") from None

    async def _gather(self, seats: Sequence[Seat]) -> list[News]:
        """What is new of these, once all of them have been answered."""
        asked = seats
        while asked:
            for seat in asked:
                seat.join()
            await self._until(lambda: all(seat.whole for seat in seats))
            if any(seat.void for seat in seats):
                await self._paced()
            asked = [seat for seat in seats if seat.void]
        # From here on nothing waits until the answer is made.
        news = [new for seat in seats if (new := seat.news()) is not None]
        for seat in seats:
            seat.release_pages()
        return news

    async def _paced(self) -> None:
        await asyncio.sleep(self._pace.take(self._services.monotonic()))

    async def _catch_up(self) -> None:
        """Another instance may have sent the client what this one has yet to see: nobody is sent back in time.
        Without a moment, as when the client had a WebSocket until now, come as far as the database is."""
        if self._moment is None:
            await self._services.hub.catch_up_with_database()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                await self._services.hub.reached(self._moment)

    def _has_room(self) -> bool:
        return sum(seat.held_bytes for seat in self._seats) < MAX_ANSWER_BYTES

    def _outdated(self) -> list[Seat]:
        return [seat for seat in self._seats if seat.is_outdated()]

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._stirred.clear()
            await self._stirred.wait()

    def _body(self, news: Sequence[News]) -> bytes:
        """The JSON of what is new, as far as it fits; something of it always does."""
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
    """Is it an error in place of a state? Raises Unavailable where that may change."""
    if answer[0].kind is not Kind.ERROR:
        return False
    if answer[0].data["code"] == ErrorCode.UNAVAILABLE:
        raise Unavailable("a poll could not be read")
    return True


def _etag(shown: Iterable[bytes]) -> str:
    """Stands for what is shown; the same on every instance."""
    digest = blake2b(digest_size=16)
    for part in shown:
        digest.update(part)
    return ETAG_VERSION + digest.hexdigest()

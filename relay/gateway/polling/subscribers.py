"""The items of one poll (a task or the list of tasks each): what a poll receives of them, and what is news of it.

An item's *state* is a snapshot of it, in one or more messages (*pages*). An item is *revoked* when the user loses the
right to see it, or part of it, or when what was read so far is no longer valid.

Rules of this file: a subscriber subscribes to its item as a WebSocket connection would, so no change after the state is
missed. A subscriber to the list reads nothing if the changes after the position of its client are kept.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import orjson

from relay.errors import Unavailable
from relay.gateway.polling.etags import ETAG_VERSION, ListEtag, digest_of, etag_of, rights_of
from relay.gateway.services import Services
from relay.hub.listener import Listener
from relay.protocol.frames import Batch, Frame, error
from relay.protocol.polls import PolledList, PolledTask
from relay.protocol.types import ErrorCode, Kind
from relay.tasks.visibility import Principal


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
            services.audience.later_filter_for(principal),
            user=principal.sub,
            receiver=self,
        )
        self._pages: list[Frame] = []
        self.complete = False  # the last page of the state has come, or an error in place of the state
        self.outdated = False  # the item has changed since it was joined
        self.revoked = False  # what was received must not be sent to the client any more
        self.reads = True  # to join again means to read the item again

    @property
    def listener(self) -> Listener:
        """The listener of this subscription, as the hub knows it."""
        return self._listener

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
        etag = etag_of([orjson.dumps(state["task"], option=orjson.OPT_SORT_KEYS)])
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
        etag = etag_of(bodies)
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


class UpdatedList(ListSubscriber):
    """Subscribes to the list of tasks for a client that applies list updates to the list that it holds.

    The client's etag contains the position of that list. While the hub keeps every change after the position, the
    subscriber waits for these changes, and no list is read (`reads` is False). Otherwise the list is read.
    """

    def __init__(
        self, services: Services, principal: Principal, notify: Callable[[], None], polled: PolledList
    ) -> None:
        super().__init__(services, principal, notify, polled)
        self._keys = self._listener.keys
        self._hub, self._changes = services.hub, services.hub.list_changes
        self._rights = rights_of(self._keys, polled.limit, services.shown_by)
        # The list that the client holds: its digest, and the position after which every change is news. `_current`:
        # there was no such change until now.
        held = ListEtag.parse(polled.etag)
        self._digest = held.digest if held is not None else (polled.etag or "").removeprefix(ETAG_VERSION)
        self._position = held.position if held is not None and held.rights == self._rights else None
        self._current = False
        self.reads = False

    @property
    def etag(self) -> str | None:
        """The etag of the list that the client holds, with the latest position that is known to be one of it. None
        while the list is read."""
        if self.reads or self._position is None:
            return None
        if self._current:
            self._position = max(self._position, self._hub.position)
        return str(ListEtag(self._digest, self._position, self._rights))

    def join(self) -> None:
        self._changes.keep(self._hub.position, asyncio.get_running_loop().time())
        if not self.reads and self._updates() is not None:
            self._wait_for_changes()
            return
        self._changes.leave(self._keys, self._note_change)
        # The list that is read is that of this position, or of a later one; changes between the two are sent again.
        self._position, self._current, self.reads = self._hub.position, False, True
        super().join()

    def news(self) -> News | None:
        if self.reads:
            _is_refused(self._pages)
            bodies = [page.body for page in self._pages]
            digest = digest_of(bodies)
            self._wait_for_changes()
            if digest != self._digest:
                self._digest = digest
                return News(None, [b",".join(bodies)], self.etag)
        updates = self._updates()
        if updates:
            assert self._position is not None
            self._position = max(self._position, self._hub.position)
            self._digest = ""
            return News(None, [b",".join(update.body for update in updates)], self.etag)
        self._current = updates is not None
        self.outdated = updates is None  # changes were forgotten meanwhile: read the list again
        return None

    def end(self) -> None:
        self._changes.leave(self._keys, self._note_change)
        super().end()

    def _updates(self) -> Sequence[Frame] | None:
        """Return what has changed for the client; None if the list has to be read to know."""
        if self._position is None:
            return None
        return self._changes.after(self._position, self._keys, now=self._hub.position)

    def _wait_for_changes(self) -> None:
        self._hub.leave_all(self._listener)
        self._changes.wait(self._keys, self._note_change)
        self.reads, self.complete, self.outdated, self.revoked = False, True, False, False

    def _note_change(self) -> None:
        # The change is published, but position S has not moved past it yet. Waiting from S on, and not from where the
        # client was, the poll does not depend on how long changes are kept that do not concern it.
        if self._current and self._position is not None:
            self._position, self._current = max(self._position, self._hub.position), False
        self.outdated = True
        self._notify()


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


def _is_refused(answer: Sequence[Frame]) -> bool:
    """Return whether the hub answered with a final error, such as `forbidden`, in place of a state (a snapshot). Raises
    Unavailable if the error is temporary."""
    if answer[0].kind is not Kind.ERROR:
        return False
    if answer[0].data["code"] == ErrorCode.UNAVAILABLE:
        raise Unavailable("a poll could not be read")
    return True

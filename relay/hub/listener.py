"""A listener: one connection as the hub sees it, with its rights and its subscriptions. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from relay.hub.snapshot import Pages
from relay.protocol.frames import Batch, Frame
from relay.tasks.packed_keys import TaskKeys
from relay.tasks.task import Keys

if TYPE_CHECKING:  # a subscription knows its listener, so this import would be circular
    from relay.hub.list_subscription import ListSubscription
    from relay.hub.task_subscription import TaskSubscription

log = logging.getLogger(__name__)


class Receiver(Protocol):
    """The queue of one connection, to which the hub sends the frames (encoded messages) for its listener.

    No method waits, and no method calls the hub.
    """

    def send(self, batch: Batch) -> None:
        """Queue live messages. The queue may drop them, because a snapshot can replace them; then the connection calls
        `Hub.lag`."""

    def answer(self, frame: Frame) -> None:
        """Queue a frame that must not be dropped: an answer, a revocation or a notice."""

    def answer_pages(self, pages: Iterable[Frame], size: int) -> None:
        """Queue a state (a snapshot of a task or of the list) of about `size` bytes. It must not be dropped.

        `pages` is iterated only as fast as the socket accepts data, because iterating encodes the pages.
        """

    def pin(self) -> bool:
        """Protect all messages that are queued now from being dropped, because the next state (a snapshot) continues
        from them.

        Return False if live messages were dropped before and `Hub.lag` was not called for them yet.
        """

    def has_room(self) -> bool:
        """Return whether another state (a snapshot) may be queued. If not, the connection calls `Hub.catch_up` once it
        may."""

    def fail(self) -> None:
        """End the connection soon, because an error of the relay keeps it from serving this client. The client has to
        learn of it (a WebSocket is closed with 1011), because it would wait forever for answers and messages."""


class _Gone:
    """The receiver of a listener whose connection is gone: it accepts everything and keeps nothing."""

    def send(self, batch: Batch) -> None: ...

    def answer(self, frame: Frame) -> None: ...

    def answer_pages(self, pages: Iterable[Frame], size: int) -> None: ...

    def pin(self) -> bool:
        return False

    def has_room(self) -> bool:
        return True

    def fail(self) -> None: ...


_GONE = _Gone()


@contextmanager
def serving(listener: Listener) -> Iterator[None]:
    """Serve one listener of several: if the block raises an exception, log it and end the connection of this listener,
    so that the error concerns no other one."""
    try:
        yield
    except Exception as failure:
        listener.fail(failure)


class Listener:
    """One connection as the hub sees it: what it may see, what it is subscribed to, and how to reach it.

    `keys` are its rights: the listener may see a task that has one of these audience keys. `filter` returns the MongoDB
    filter that selects the same tasks; it is a function, because few listeners need the filter. `send` is the method of
    the receiver itself, without a wrapper, because it is called for each delivery.
    """

    __slots__ = ("filter", "keys", "lagging", "list", "receiver", "send", "tasks", "user")

    def __init__(
        self,
        keys: Keys,
        filter: Callable[[], dict[str, Any]],
        *,
        user: str,
        receiver: Receiver,
    ) -> None:
        self.keys = keys
        self.filter = filter
        self.user = user
        self.receiver = receiver
        self.send = receiver.send
        self.lagging = False  # its live messages were dropped; it is sent none until its socket has drained
        self.tasks: dict[str, TaskSubscription] = {}  # by taskId; only those that are not ABSENT
        self.list: ListSubscription | None = None

    def may_see(self, keys: TaskKeys) -> bool:
        """Whether the listener's rights allow it to see a task that has these audience keys."""
        return not keys.isdisjoint(self.keys)

    def subscriptions(self) -> Iterator[TaskSubscription | ListSubscription]:
        """Yield the current subscriptions of the listener, first to tasks, then to the list. The caller may end them
        meanwhile."""
        yield from list(self.tasks.values())
        if self.list is not None:
            yield self.list

    def unanswered_tasks(self) -> int:
        """Return the number of tasks that the listener has asked for and was not answered about yet."""
        return sum(len(subscription.requests) > 0 for subscription in self.tasks.values())

    # The hub adds a subscription when a client asks for it, and removes it when its state becomes ABSENT.

    def add_task(self, subscription: TaskSubscription) -> None:
        self.tasks[subscription.task_id] = subscription

    def remove_task(self, subscription: TaskSubscription) -> None:
        self.tasks.pop(subscription.task_id, None)

    def set_list(self, subscription: ListSubscription | None) -> None:
        self.list = subscription

    def set_lagging(self, lagging: bool) -> None:
        self.lagging = lagging

    def change_rights(self, keys: Keys, filter: Callable[[], dict[str, Any]]) -> None:
        self.keys, self.filter = keys, filter

    def release(self) -> None:
        """Let go of the connection, which is gone. A step remembers the listeners that it was sent to, and a read in
        flight may keep the step for long: it keeps only this object then."""
        self.receiver = _GONE
        self.send = _GONE.send

    def fail(self, failure: Exception) -> None:
        """Log this exception, and end the connection, because the listener cannot be served."""
        log.error("a listener could not be served", exc_info=failure)
        self.receiver.fail()

    def answer(self, frame: Frame) -> None:
        """Send the client a frame that must not be dropped."""
        self.receiver.answer(frame)

    def answer_state(self, pages: Pages, reply_to: str | None) -> None:
        """Send the client a state (a snapshot of a task or of the list) as the answer to the request with the id
        `reply_to`; None if no client asked for the state."""
        if pages.fit_one:  # a single small frame is written together with everything else that is queued
            self.receiver.answer(next(iter(pages)).with_reply_to(reply_to))
        else:
            self.receiver.answer_pages((page.with_reply_to(reply_to) for page in pages), pages.size)

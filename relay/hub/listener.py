"""A listener: one connection as the hub sees it, with its rights and its subscriptions. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from relay.hub.snapshot import Pages
from relay.protocol.frames import Batch, Frame
from relay.tasks.translate import Keys

if TYPE_CHECKING:  # a subscription knows its listener, so this import would be circular
    from relay.hub.list_subscription import ListSubscription
    from relay.hub.task_subscription import TaskSubscription


class Receiver(Protocol):
    """The queue of one connection, which takes the frames of its listener. No method waits or calls the hub."""

    def send(self, batch: Batch) -> None:
        """Queue live messages. They may be dropped, because a state can replace them: then `Hub.lag` follows."""

    def answer(self, frame: Frame) -> None:
        """Queue a frame that must not be dropped: an answer, a revocation or a notice."""

    def answer_pages(self, pages: Iterable[Frame], size: int) -> None:
        """Queue a state of about `size` bytes, whose pages are encoded when the socket takes them."""

    def pin(self) -> bool:
        """Keep everything that is queued now, because a state that follows continues from it. Return False if
        live messages were dropped before that `Hub.lag` has not reported yet."""

    def has_room(self) -> bool:
        """Return whether another state may be queued. If not, `Hub.catch_up` follows when it may."""


class Listener:
    """One connection as the hub sees it: what it may see, what it is subscribed to, and how to reach it.

    `keys` are its rights; `filter` makes the MongoDB filter that agrees with them, which few listeners need.
    `send` is the receiver's own method: it is called once for each delivery.
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
        self.lagging = False  # its live messages were dropped: it gets none until its socket has drained
        self.tasks: dict[str, TaskSubscription] = {}  # by taskId; only those that are not ABSENT
        self.list: ListSubscription | None = None

    def may_see(self, keys: Keys) -> bool:
        """Do its rights open a task with these keys?"""
        return not self.keys.isdisjoint(keys)

    def subscriptions(self) -> Iterator[TaskSubscription | ListSubscription]:
        """Its subscriptions at this moment; the caller may end them meanwhile."""
        yield from list(self.tasks.values())
        if self.list is not None:
            yield self.list

    # A subscription is kept only while it is not ABSENT.

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

    def answer(self, frame: Frame) -> None:
        """Send a frame that must not be dropped."""
        self.receiver.answer(frame)

    def answer_state(self, pages: Pages, reply_to: str | None) -> None:
        """Send a state, as the answer to the request `reply_to` or unasked (None)."""
        if pages.fit_one:  # one small frame leaves in one write with whatever else is queued
            self.receiver.answer(next(iter(pages)).with_reply_to(reply_to))
        else:
            self.receiver.answer_pages((page.with_reply_to(reply_to) for page in pages), pages.size)

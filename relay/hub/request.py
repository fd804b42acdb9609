"""A request for a state (a snapshot of a task or of the list), and the place where it waits for its read. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar


class Request:
    """One request for a state (a snapshot of a task or of the list). It is `active` until it is answered or withdrawn.

    `reply_to` is the id of the client's request, if there is one; the answer repeats it. `unasked`: no client asked;
    the relay itself needs the state to bring a subscription up to date. Nobody would repeat such a request, so its read
    is retried until it succeeds. `caught_up`: the relay has published everything that the database held when the
    request was made, or has waited for that as long as it may. `postponed`: the state was read, but the queue of the
    connection had no room for it, so it has to be read again.
    """

    __slots__ = ("_place", "active", "caught_up", "postponed", "reply_to", "unasked")

    def __init__(self, reply_to: str | None, *, unasked: bool) -> None:
        self.reply_to = reply_to
        self.unasked = unasked
        self.active = True
        self.caught_up = False
        self.postponed = False
        self._place: Waiting[Any] | None = None

    def note_caught_up(self) -> None:
        self.caught_up = True

    def postpone(self) -> None:
        self.postponed = True

    def resume(self) -> None:
        self.postponed = False

    def wait_in(self, place: Waiting[Any] | None) -> None:
        """Note where this request waits now, and leave the place where it waited until now. `Waiting.add` calls it."""
        if self._place is not None:
            self._place.remove(self)
        self._place = place

    def end(self) -> None:
        """Note that this request was answered or withdrawn, so that a read for it is of no use any more."""
        self.active = False
        self.wait_in(None)


R = TypeVar("R", bound=Request)


class Waiting(Generic[R]):
    """Requests that wait for the same thing, such as one read, in the order in which they came.

    A request waits in one place at a time. It leaves the place when it ends, so a read in flight, which may hang or be
    retried for as long as an outage lasts, keeps nothing of a connection that is gone.
    """

    __slots__ = ("_requests",)

    def __init__(self, *requests: R) -> None:
        self._requests: dict[R, None] = {}
        for request in requests:
            self.add(request)

    def add(self, request: R) -> None:
        request.wait_in(self)
        self._requests[request] = None

    def remove(self, request: R) -> None:
        self._requests.pop(request, None)

    def __iter__(self) -> Iterator[R]:
        """Yield the requests that wait. The caller may end them or move them to another place meanwhile; a request that
        is ended before its turn is left out."""
        return (request for request in tuple(self._requests) if request.active)

    def __len__(self) -> int:
        return len(self._requests)

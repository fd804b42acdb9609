"""What a change stream consists of, wherever it comes from: `Batch`, `Reopened`, and the protocol `Stream`. Pure.

A change is one entry of the change stream, with a cluster time (MongoDB's logical clock). The position is the cluster
time up to which every change has been given out. A resume token is MongoDB's name for a place in the stream.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bson import Timestamp

from relay.metrics import ResyncCause
from relay.source.change import Change
from relay.source.decoder import Decoder

# Why a stream is opened again: clauses for the log, which processes that share a stream also pass to each other.
DROPPED = "the collection was dropped or renamed"
OTHER_DATABASE = "the database may be another one, or an older copy"
REPLACED = "the collection was replaced"
UNREADABLE = "a change could not be read"
LATE = "a change came after its cluster time had been given out"
UNTRANSLATED = "a batch could not be translated"
GONE = "the position is gone"  # followed by the error code of the database
MOMENT_GONE = "read at"  # the beginning of the sentence of PositionLost
_CAUSES: dict[str, ResyncCause] = {
    DROPPED: "collection_dropped",
    OTHER_DATABASE: "other_database",
    REPLACED: "collection_replaced",
    UNREADABLE: "change_unreadable",
    LATE: "change_late",
    UNTRANSLATED: "not_translated",
    GONE: "position_lost",
    MOMENT_GONE: "position_lost",
}


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes after the cluster time `start`, up to and including the cluster time `position`.

    `start` is the position of the item before this one, which may be a `Reopened`, or the position that `Tail.open`
    set. `changes` is empty if only the position moved forward. `raws` are the change events as raw BSON, one for each
    of `changes`, in the same order, or empty if nobody needs them. `token` is a resume token, as raw BSON: a stream
    that is resumed there sends every change after `position`, and before those it may repeat changes at or before
    `position`. `is_current` says that the stream is up to date with the database. `is_complete` is False if changes may
    be missing: a `Reopened` follows.
    """

    changes: Sequence[Change]
    raws: Sequence[bytes]
    start: Timestamp
    position: Timestamp
    token: bytes
    is_current: bool = True
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Reopened:
    """An item of the stream: the stream could not be resumed, and was opened again at `position` (a cluster time).

    The changes between the previous batch and `position` are unknown, so every listener has to be brought up to date
    from the documents. `reason` is a clause for the log. `token` is the resume token at `position`, as raw BSON.
    """

    position: Timestamp
    reason: str
    token: bytes

    @property
    def cause(self) -> ResyncCause:
        """The kind of the reason, by which the metrics count it."""
        return next((cause for begin, cause in _CAUSES.items() if self.reason.startswith(begin)), "other")


class Stream(Protocol):
    """A change stream that the relay follows: `Tail`, or `SharedTail` if another process passes the stream on.

    `position` is the cluster time up to which all changes have been given out. `current_at` is the monotonic time of
    the last sign that the stream is up to date with the database, None before the first.
    """

    @property
    def position(self) -> Timestamp: ...

    @property
    def token(self) -> bytes:
        """The resume token (raw BSON) from which a stream sends every change after `position`."""

    @property
    def current_at(self) -> float | None: ...

    async def open(self) -> Timestamp:
        """Check that the change stream can be followed, and return the position (a cluster time) at which it starts.

        Raises StartupError if this database cannot serve a change stream. Raises Unavailable if the database does not
        answer; the caller may then try again.
        """

    def batches(self) -> AsyncGenerator[Batch | Reopened]:
        """Yield every batch after the position that `open` set, and a `Reopened` whenever changes may have been missed.

        The iterator ends only by cancellation.
        """

    def use(self, decoder: Decoder) -> None:
        """Decode changes with this decoder from now on; nothing is missed or repeated. To be called while no batch is
        asked for."""

    def reopen(self, reason: str) -> None:
        """Give up the position, because of `reason` (a clause for the log): `batches` then yields a `Reopened`."""

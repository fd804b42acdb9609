"""The unit in which a change stream is passed on to other processes, and its encoding in bytes. Pure.

Rules of this file: an entry holds the server's own bytes, so it does not depend on the settings or the mapping of the
process that made it. Bytes that are not an entry raise ValueError.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct, error
from typing import NamedTuple, Self

from bson import Timestamp

# Start and end (each as seconds and increment), the flags, and the number of bytes of the resume token.
_HEAD = Struct(">IIIIBI")
_INT32 = Struct("<i")
_CURRENT, _REOPENED = 1, 2
_SHORTEST = 5  # the number of bytes of an empty BSON document


class Entry(NamedTuple):
    """All changes of a change stream with `start` < cluster time <= `end`. There may be none.

    A process that has applied every change up to `start` or later can apply an entry; it skips the changes that it
    knows. After that, it has applied every change up to `end`. It can continue after `end` with the next entry, or with
    a change stream of its own that begins at the resume token `token` (raw BSON). `events` are the change events as raw
    BSON, one after the other. `is_current` says that the stream was up to date with the database at `end`.

    If `reopened` is not None, the stream was opened again at `end`, and changes before that may have been missed: every
    listener has to be brought up to date from the documents. `reopened` is the reason, a clause for the log.
    """

    start: Timestamp
    end: Timestamp
    token: bytes
    events: bytes = b""
    is_current: bool = True
    reopened: str | None = None

    def encode(self) -> bytes:
        """Return the entry as bytes, from which `decode` makes it again."""
        flags = self.is_current * _CURRENT | (self.reopened is not None) * _REOPENED
        start, end = self.start, self.end
        head = _HEAD.pack(start.time, start.inc, end.time, end.inc, flags, len(self.token))
        rest = self.events if self.reopened is None else self.reopened.encode()
        return b"".join((head, self.token, rest))

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """Make an entry from its bytes. Raises ValueError if they are not the bytes of an entry."""
        try:
            since, since_inc, until, until_inc, flags, size = _HEAD.unpack_from(encoded)
        except error as failure:
            raise ValueError("an entry is cut off") from failure
        after = _HEAD.size + size
        token, rest = encoded[_HEAD.size : after], encoded[after:]
        if len(token) < size or flags & ~(_CURRENT | _REOPENED):
            raise ValueError("an entry has an unknown layout")
        start, end = Timestamp(since, since_inc), Timestamp(until, until_inc)
        if flags & _REOPENED:
            return cls(start, end, token, b"", bool(flags & _CURRENT), rest.decode())
        return cls(start, end, token, rest, bool(flags & _CURRENT))

    def split(self) -> list[bytes]:
        """Return the change events, each as raw BSON. Raises ValueError if `events` is not a row of BSON documents."""
        found, position, end = [], 0, len(self.events)
        while position < end:
            if end - position < _SHORTEST:
                raise ValueError("an event is cut off")
            after = position + _INT32.unpack_from(self.events, position)[0]
            if not position + _SHORTEST <= after <= end:
                raise ValueError("an event has a wrong length")
            found.append(self.events[position:after])
            position = after
        return found


def merged(entries: Iterable[Entry]) -> list[Entry]:
    """Return the same part of a stream in fewer entries: entries that follow each other without a gap become one.

    An entry of a reopened stream stays apart.
    """
    runs: list[list[Entry]] = []
    for entry in entries:
        before = runs[-1][-1] if runs else None
        if before is not None and before.end == entry.start and before.reopened is entry.reopened is None:
            runs[-1].append(entry)
        else:
            runs.append([entry])
    return [run[0] if len(run) == 1 else _one(run) for run in runs]


def _one(run: Sequence[Entry]) -> Entry:
    """Return one entry for several, each of which begins where the one before ends."""
    last = run[-1]
    is_current = any(entry.is_current for entry in run if entry.end == last.end)
    return last._replace(
        start=run[0].start, events=b"".join([entry.events for entry in run]), is_current=is_current
    )


def joined(events: Iterable[bytes]) -> bytes:
    """Return change events (each raw BSON) in the form of `Entry.events`."""
    return b"".join(events)

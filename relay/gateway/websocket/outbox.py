"""The queue of what one connection still has to send, and the bounds of this queue. Pure.

*Live messages* report changes as they happen. They may be dropped, because a *state* (a snapshot of a task's timeline
or of the list, sent in one or more *pages*) can replace them. Everything else is *kept*, which means never dropped:
answers, revocations, notices, states and control frames. A connection is *paused* while its socket accepts no data.

Rule of this file: messages leave in the order in which they were added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from relay.protocol.frames import Batch, Frame, websocket_message

ANSWERS_FACTOR = 64  # answers may take this many times the bytes of live messages: a document has up to 16 MB
BURST_FACTOR = 8  # while the socket accepts data, this many times `max_bytes` may wait: it is written soon


class _State:
    """A queued state (a snapshot of a task or of the list), some of whose pages have not been written yet. `pages`
    yields them; `left` is about how many bytes they have together."""

    __slots__ = ("left", "pages")

    def __init__(self, pages: Iterator[bytes], left: int) -> None:
        self.pages = pages
        self.left = left


class Outbox:
    """The WebSocket messages that a connection has not written yet, in the order in which they were added.

    `max_bytes` bounds the bytes of live messages that wait while the socket accepts no data. If more wait, all of
    them are dropped, and so are further live messages until `end_lag` is called: the connection *lags*. If the bytes of
    answers exceed ANSWERS_FACTOR times `max_bytes`, the outbox *overflows*: it accepts no more answers or states, and
    the connection must be ended. The size of a state (the snapshot of a task or of the list) is not bounded: it waits
    as an iterator, and each of its pages is encoded when the socket has room for that page.
    """

    __slots__ = (
        "_entries",
        "_kept",
        "_states",
        "dropped",
        "is_lagging",
        "is_overflowed",
        "kept_bytes",
        "live_bytes",
        "live_messages",
        "max_bytes",
        "messages",
        "room_awaited",
        "state_bytes",
        "unreported_lag",
    )

    def __init__(self, max_bytes: int = 0) -> None:
        self.max_bytes = max_bytes
        self.live_messages = 0  # how many were added and neither taken nor dropped
        # How many messages were taken, and how many answers wait. Live messages and pages count when they are taken,
        # because they may be dropped before; control frames do not count.
        self.messages = 0
        self.dropped = 0  # how many live messages were dropped; whoever counts them sets it to 0
        self.live_bytes = 0  # the bytes of live messages that may be dropped
        self.kept_bytes = 0  # the bytes that may not be dropped, without those of states
        self.state_bytes = 0  # about how many bytes the pages have that are not encoded yet
        self.is_lagging = False
        self.is_overflowed = False
        # The argument `since_pause` for the call of `Conversation.lag` that is still to be made; None if none is.
        self.unreported_lag: bool | None = None
        self.room_awaited = False  # True after `has_room` returned False, until `end_lag`
        # None while nothing waits: most connections are idle, and two empty lists for each would take 144 bytes.
        self._entries: list[bytes | _State] | None = None
        self._kept: list[int] | None = None  # indexes in `_entries` of what may not be dropped
        self._states = 0  # how many of `_entries` are states

    def __len__(self) -> int:
        return 0 if self._entries is None else len(self._entries)

    # Adding.

    def add_live(self, batch: Batch, *, paused: bool) -> bool:
        """Add live messages, or drop them if the connection lags. `paused` says that the socket accepts no data.

        Return False if too many bytes of live messages wait now: they have been dropped, the connection begins to lag,
        and the caller must report `unreported_lag` soon. Otherwise return True, also if the connection lagged before.
        """
        if self.is_lagging:
            self.dropped += len(batch.frames)
            return True
        # This method runs once for each delivery, so it calls no other methods where a line of its own will do.
        data = batch.websocket
        if self._entries is None:
            self._entries = [data]
        else:
            self._entries.append(data)
        self.live_messages += len(batch.frames)
        size = self.live_bytes = self.live_bytes + len(data)
        if size <= self.max_bytes or size <= self._bound(paused):
            return True
        self.is_lagging, self.unreported_lag = True, paused
        self._drop_live()
        return False

    def add_answer(self, frame: Frame) -> bool:
        """Add a message that may not be dropped. Return False if the outbox has overflowed, now or before, because too
        many bytes of such messages wait."""
        if self.is_overflowed:
            return False
        self.add(websocket_message(frame.body))
        self.messages += 1
        if self.kept_bytes <= self.max_bytes * ANSWERS_FACTOR:
            return True
        self.is_overflowed = self.is_lagging = True
        return False

    def add_state(self, pages: Iterable[Frame], size: int) -> None:
        """Add a state (a snapshot of a task or of the list) of about `size` bytes. `take` gets its pages one by one
        from the iterable when it reaches them. Does nothing after the outbox has overflowed."""
        if self.is_overflowed:
            return
        self._append_kept(_State((websocket_message(page.body) for page in pages), size))
        self._states += 1
        self.state_bytes += size

    def add(self, data: bytes) -> None:
        """Add bytes that may not be dropped, such as a control frame, however much waits already."""
        self._append_kept(data)
        self.kept_bytes += len(data)

    def pin(self) -> bool:
        """Keep everything that waits now from being dropped, because the message that is added next continues from it.
        Return False if live messages were dropped before and the drop has not been reported yet, else True."""
        self._kept = list(range(len(self))) or None
        self.kept_bytes += self.live_bytes
        self.live_bytes = 0
        return self.unreported_lag is None

    def has_room(self, *, paused: bool) -> bool:
        """Return whether another state (a snapshot of a task or of the list) may be added. `paused` says that the
        socket accepts no data. After False, `room_awaited` is True until `end_lag`. Into an empty outbox a state of any
        size fits, because a timeline can be larger than every bound."""
        fits = self.kept_bytes + self.state_bytes <= self._bound(paused)
        self.room_awaited |= not fits
        return fits

    # Taking.

    def take(self) -> Sequence[bytes]:
        """Remove and return the bytes to write next, as a sequence of byte strings; an empty one if nothing waits.

        If no states wait, this is everything. Otherwise it is what was added before the first state, or, if that state
        comes first, its next page.
        """
        self.messages += self.live_messages
        if self._states:
            self.live_messages = 0
            return self._take_before_state() or self._take_page()
        entries = self._entries
        if entries is None:
            return ()
        self.clear()
        return entries  # type: ignore[return-value]  # no states are among them

    def end_lag(self) -> None:
        """Accept live messages again after a lag. The caller must call this when nothing waits any more, and before it
        calls `Conversation.drained`."""
        self.is_lagging = self.room_awaited = False

    def clear(self) -> None:
        """Remove everything that waits, without returning it."""
        self._entries = self._kept = None
        self._states = self.live_messages = 0
        self.live_bytes = self.kept_bytes = self.state_bytes = 0

    # Entries.

    def _bound(self, paused: bool) -> int:
        return self.max_bytes if paused else self.max_bytes * BURST_FACTOR

    def _append_kept(self, entry: bytes | _State) -> None:
        """Append an entry that may not be dropped, either encoded bytes or a state."""
        if self._entries is None:
            self._entries = []
        if self._kept is None:
            self._kept = []
        self._kept.append(len(self._entries))
        self._entries.append(entry)

    def _drop_live(self) -> None:
        entries, kept = self._entries or (), self._kept or ()
        self._entries = [entries[index] for index in kept] or None
        self._kept = list(range(len(kept)))
        self.dropped += self.live_messages
        self.live_bytes = self.live_messages = 0

    def _take_before_state(self) -> list[bytes]:
        taken: list[bytes] = []
        for entry in self._entries or ():
            if isinstance(entry, _State):
                break
            taken.append(entry)
        self._remove_first(len(taken))
        return taken

    def _take_page(self) -> Sequence[bytes]:
        state = self._entries[0] if self._entries else None
        assert isinstance(state, _State)
        page = next(state.pages, None)
        if page is not None:
            size = min(len(page), state.left)
            state.left -= size
            self.state_bytes -= size
            self.messages += 1
            return [page]
        self._states -= 1
        self.state_bytes -= state.left
        self._remove_first(1)
        return self.take()

    def _remove_first(self, count: int) -> None:
        if not count:
            return
        entries, kept = self._entries or [], self._kept or []
        first_kept = {index for index in kept if index < count}
        for index, entry in enumerate(entries[:count]):
            if isinstance(entry, _State):
                continue
            if index in first_kept:
                self.kept_bytes -= len(entry)
            else:
                self.live_bytes -= len(entry)
        self._entries = entries[count:] or None
        self._kept = [index - count for index in kept if index >= count]

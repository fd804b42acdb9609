"""What one connection still has to send, and how much of it may wait. Pure.

Live messages may be dropped, because a state can replace them. Answers, revocations, notices and control frames may
not. Rule of this file: messages leave in the order in which they were added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from relay.protocol.frames import Batch, Frame, websocket_message

ANSWERS_FACTOR = 64  # answers may take this many times the bytes of live messages: documents have up to 16 MB
BURST_FACTOR = (
    8  # a burst may take this many times the bytes, if it is written before the socket has to be waited for
)


class _State:
    """A state whose pages have not all been taken; `left` is about how many bytes are still to come."""

    __slots__ = ("left", "pages")

    def __init__(self, pages: Iterator[bytes], left: int) -> None:
        self.pages = pages
        self.left = left


class Outbox:
    """The messages that a connection has not written yet, in order, as WebSocket messages.

    `max_bytes` bounds the live messages that wait while the socket takes nothing. If they exceed it, they are dropped,
    and so are all live messages until the connection has caught up: it *lags*. If answers exceed `ANSWERS_FACTOR`
    times `max_bytes`, the outbox *overflows*, takes no more, and its connection must be ended. A state is not bounded:
    it waits as an iterator, and each of its pages is encoded when the socket has room for it.
    """

    __slots__ = (
        "_entries",
        "_kept",
        "_states",
        "is_lagging",
        "is_overflowed",
        "kept_bytes",
        "live_bytes",
        "live_messages",
        "max_bytes",
        "room_awaited",
        "state_bytes",
        "unreported_lag",
    )

    def __init__(self, max_bytes: int = 0) -> None:
        self.max_bytes = max_bytes
        self.live_messages = 0  # added and neither written nor dropped
        self.live_bytes = 0
        self.kept_bytes = 0  # of what may not be dropped, without states
        self.state_bytes = 0  # of pages that are not made yet, approximately
        self.is_lagging = False
        self.is_overflowed = False
        # If the conversation does not know yet that it lags: `since_pause` of `Conversation.lag`.
        self.unreported_lag: bool | None = None
        self.room_awaited = False  # the conversation has a state that found no room
        # None where nothing waits: most connections are idle, and two empty lists of each would take 144 bytes.
        self._entries: list[bytes | _State] | None = None
        self._kept: list[int] | None = None  # indexes in `_entries` of what may not be dropped
        self._states = 0  # how many of `_entries` are states

    def __len__(self) -> int:
        return 0 if self._entries is None else len(self._entries)

    # Adding.

    def add_live(self, batch: Batch, *, paused: bool) -> bool:
        """Add live messages, unless the connection lags. False if there are too many now, and it begins to lag; then
        `unreported_lag` must be reported soon. `paused`: the socket takes nothing."""
        if self.is_lagging:
            return True
        # Called once for each delivery, so it calls nothing that it can do itself.
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
        """Add a message that may not be dropped. False if there are too many now: the outbox overflows."""
        if self.is_overflowed:
            return False
        self.add(websocket_message(frame.body))
        if self.kept_bytes <= self.max_bytes * ANSWERS_FACTOR:
            return True
        self.is_overflowed = self.is_lagging = True
        return False

    def add_state(self, pages: Iterable[Frame], size: int) -> None:
        """Add a state of about `size` bytes. Its pages are made one by one, as `take` reaches them."""
        if self.is_overflowed:
            return
        self._append_kept(_State((websocket_message(page.body) for page in pages), size))
        self._states += 1
        self.state_bytes += size

    def add(self, data: bytes) -> None:
        """Add bytes that may not be dropped, such as a control frame, whatever waits already."""
        self._append_kept(data)
        self.kept_bytes += len(data)

    def pin(self) -> bool:
        """Let nothing that waits now be dropped, because the next message continues from it. False if live messages
        were dropped before and the conversation does not know yet."""
        self._kept = list(range(len(self))) or None
        self.kept_bytes += self.live_bytes
        self.live_bytes = 0
        return self.unreported_lag is None

    def has_room(self, *, paused: bool) -> bool:
        """May another state be added? If not, the room is awaited until `end_lag`. One state of any size always fits,
        because a timeline can be larger than every bound."""
        fits = self.kept_bytes + self.state_bytes <= self._bound(paused)
        self.room_awaited |= not fits
        return fits

    # Taking.

    def take(self) -> Sequence[bytes]:
        """Remove and return what is to be written next: everything, or, where states wait, the entries before the
        first state, or its next page. Empty when nothing waits."""
        if self._states:
            self.live_messages = 0
            return self._take_before_state() or self._take_page()
        entries = self._entries
        if entries is None:
            return ()
        self.clear()
        return entries  # type: ignore[return-value]  # no states are among them

    def end_lag(self) -> None:
        """Take live messages again. To be called when nothing waits, before the conversation is called with
        `drained`."""
        self.is_lagging = self.room_awaited = False

    def clear(self) -> None:
        """Remove everything that waits."""
        self._entries = self._kept = None
        self._states = self.live_messages = 0
        self.live_bytes = self.kept_bytes = self.state_bytes = 0

    # Entries.

    def _bound(self, paused: bool) -> int:
        return self.max_bytes if paused else self.max_bytes * BURST_FACTOR

    def _append_kept(self, entry: bytes | _State) -> None:
        """Append an entry that may not be dropped."""
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

"""What waits for one listener's socket: frames, states in pages, and which of them may be dropped. Pure."""

from __future__ import annotations

from collections.abc import Iterator


class _State:
    """A state whose pages have not all been taken; `left` is about how many bytes are still to come."""

    __slots__ = ("left", "pages")

    def __init__(self, pages: Iterator[bytes], left: int) -> None:
        self.pages = pages
        self.left = left


class Outbox:
    """Frames in order. Live ones may be dropped, because a state can replace them; answers, revocations
    and notices may not. A state stands here as what makes its pages: each is made when it is taken."""

    __slots__ = ("_frames", "_kept", "_states", "kept_bytes", "live_bytes", "state_bytes")

    def __init__(self) -> None:
        self._frames: list[bytes | _State] = []
        self._kept: list[int] = []  # indexes in `_frames` of what may not be dropped
        self._states = 0  # how many of `_frames` are states
        self.live_bytes = 0
        self.kept_bytes = 0
        self.state_bytes = 0  # of pages not made yet, about

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: bytes, *, kept: bool) -> None:
        if kept:
            self._kept.append(len(self._frames))
            self.kept_bytes += len(frame)
        else:
            self.live_bytes += len(frame)
        self._frames.append(frame)

    def add_state(self, pages: Iterator[bytes], size: int) -> None:
        """A state of about `size` bytes, which may not be dropped."""
        self._kept.append(len(self._frames))
        self._frames.append(_State(pages, size))
        self._states += 1
        self.state_bytes += size

    def pin(self) -> None:
        """Nothing that waits now may be dropped any more: what comes next continues from it."""
        self._kept = list(range(len(self._frames)))
        self.kept_bytes += self.live_bytes
        self.live_bytes = 0

    def take(self) -> list[bytes]:
        """What is to be written next, which waits no longer: everything, or where states wait the frames up
        to the first of them, or its next page. Empty when nothing waits."""
        if self._states:
            return self._take_before_state() or self._take_page()
        frames = self._frames
        if frames:
            self.clear()
        return frames  # type: ignore[return-value]  # there are no states among them

    def clear(self) -> None:
        """Nothing waits any more."""
        self._frames = []
        self._kept.clear()
        self._states = 0
        self.live_bytes = self.kept_bytes = self.state_bytes = 0

    def drop_live(self) -> None:
        """Only what may not be dropped stays."""
        self._frames = [self._frames[index] for index in self._kept]
        self._kept = list(range(len(self._frames)))
        self.live_bytes = 0

    def _take_before_state(self) -> list[bytes]:
        taken: list[bytes] = []
        for frame in self._frames:
            if isinstance(frame, _State):
                break
            taken.append(frame)
        self._remove_first(len(taken))
        return taken

    def _take_page(self) -> list[bytes]:
        state = self._frames[0]
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
        kept = {index for index in self._kept if index < count}
        for index, frame in enumerate(self._frames[:count]):
            if isinstance(frame, _State):
                continue
            if index in kept:
                self.kept_bytes -= len(frame)
            else:
                self.live_bytes -= len(frame)
        self._frames = self._frames[count:]
        self._kept = [index - count for index in self._kept if index >= count]

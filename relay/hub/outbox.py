"""What waits for one listener's socket: ready-made frames, and which of them may be dropped. Pure."""

from __future__ import annotations


class Outbox:
    """Frames in order. Live ones may be dropped, because a state can replace them; answers, revocations
    and notices may not."""

    __slots__ = ("_frames", "_kept", "kept_bytes", "live_bytes")

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._kept: list[int] = []  # where those stand that may not be dropped
        self.live_bytes = 0
        self.kept_bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: bytes, *, kept: bool) -> None:
        if kept:
            self._kept.append(len(self._frames))
            self.kept_bytes += len(frame)
        else:
            self.live_bytes += len(frame)
        self._frames.append(frame)

    def take(self) -> list[bytes]:
        """Everything that waits, which waits no longer."""
        frames = self._frames
        if frames:
            self._frames = []
            self._kept.clear()
            self.live_bytes = self.kept_bytes = 0
        return frames

    def drop_live(self) -> None:
        """Only what may not be dropped stays."""
        self._frames = [self._frames[index] for index in self._kept]
        self._kept = list(range(len(self._frames)))
        self.live_bytes = 0

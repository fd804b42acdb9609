"""The order in which frames reach listeners."""

from __future__ import annotations

from collections.abc import Collection

from relay.hub.listener import Listener
from relay.metrics import Metrics
from relay.protocol.frames import Batch, Frame


class Delivery:
    """Sends live messages and revocations.

    Live messages for the same listeners are collected, and each listener is sent them in one call: most of the cost
    of a message is in these calls. Before anything else is sent, and before a listener comes or goes, `flush` has to
    be called. `revoke` does so by itself, and it is the only way to send a revocation: so a listener that loses a
    task is sent that before anything else of the same change, and after everything of the changes before.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._receivers: set[Listener] = _NOBODY
        self._frames: list[Frame] = []

    def send(self, listeners: set[Listener], frame: Frame) -> None:
        """Send a live message to these listeners, now or with the next ones."""
        if listeners is not self._receivers:
            self.flush()
            self._receivers = listeners
        self._frames.append(frame)

    def flush(self) -> None:
        """Send what was collected."""
        if self._frames:
            batch, self._frames = Batch(self._frames), []
            for listener in self._receivers:
                listener.send(batch)
            self._metrics.frames.inc(len(batch.frames) * len(self._receivers))
        self._receivers = _NOBODY

    def revoke(self, listeners: Collection[Listener], frame: Frame) -> None:
        """Send a revocation to these listeners."""
        self.flush()
        for listener in listeners:
            listener.answer(frame)


_NOBODY: set[Listener] = set()

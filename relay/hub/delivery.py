"""Delivery: it sends frames (encoded messages) to listeners in the right order, in as few calls as possible."""

from __future__ import annotations

from collections.abc import Collection

from relay.hub.listener import Listener, serving
from relay.metrics import Metrics
from relay.protocol.frames import Batch, Frame


class Delivery:
    """Sends live messages and revocations (a revocation tells a listener that it may no longer see a task).

    Live messages for the same listeners are collected, and each listener is sent all of them in one call, because these
    calls are most of the cost of a message. The caller has to call `flush` before it sends anything in another way, and
    before a listener is added to a set of listeners or removed from it.

    `revoke` calls `flush` itself, and every revocation is sent by `revoke`. So a listener that loses a task is sent the
    revocation after all messages of earlier changes and before any other message of the change that caused it.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._receivers: set[Listener] = _NOBODY
        self._frames: list[Frame] = []

    def send(self, listeners: set[Listener], frame: Frame) -> None:
        """Send a live message to these listeners now or later, at latest when `flush` is called.

        Messages are collected while `listeners` is the same set object as in the call before.
        """
        if listeners is not self._receivers:
            self.flush()
            self._receivers = listeners
        self._frames.append(frame)

    def flush(self) -> None:
        """Send the live messages that `send` has collected."""
        if self._frames:
            batch, self._frames = Batch(self._frames), []
            for listener in self._receivers:
                try:  # not `serving`, which would cost as much as the delivery itself
                    listener.send(batch)
                except Exception as failure:
                    listener.fail(failure)
            self._metrics.frames.inc(len(batch.frames) * len(self._receivers))
        self._receivers = _NOBODY

    def revoke(self, listeners: Collection[Listener], frame: Frame) -> None:
        """Send a revocation to these listeners at once, after the live messages that `send` has collected."""
        self.flush()
        for listener in listeners:
            with serving(listener):
                listener.answer(frame)


_NOBODY: set[Listener] = set()

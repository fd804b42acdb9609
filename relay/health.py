"""Whether what the relay shows is current: the answer of /readyz, and the notice that clients are sent when the
database falls silent.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

from relay.auth.tokens import KeySource
from relay.protocol.types import StreamState
from relay.source.opening import Watch
from relay.source.stream import Tail

STALE_AFTER_S = 5.0  # without a reply of the database; from then on, what is shown may be old
LOOK_S = 0.5  # between two looks at the tail


class Announcer(Protocol):
    """Sends the state of the stream to every listener, when it has changed."""

    def announce(self, status: StreamState, lag_ms: int, /) -> None: ...


class Health:
    """Whether the relay is ready for clients.

    It is ready while the database answers, the collection can be followed, there is a key to verify tokens with, and
    no stop was asked for (`stopping`).
    """

    def __init__(self, tail: Tail, announcer: Announcer, keys: KeySource, watch: Watch) -> None:
        self._tail = tail
        self._announcer = announcer
        self._keys = keys
        self._watch = watch
        self.stopping = False

    def state(self) -> dict[str, Any]:
        """Return the body of /readyz: `ready`, `stale`, and `lastReplyMs` once the database has answered."""
        silence = self._silence()
        stale = silence is None or silence > STALE_AFTER_S
        suits = self._watch.refused is None
        ready = not stale and suits and not self.stopping and self._keys.current() is not None
        state: dict[str, Any] = {"ready": ready, "stale": stale}
        if silence is not None:
            state["lastReplyMs"] = round(silence * 1000)
        return state

    async def run(self) -> None:
        """Announce to the listeners when the database falls silent and when it answers again. Ends only by
        cancellation."""
        while True:
            await asyncio.sleep(LOOK_S)
            silence = self._silence()
            if silence is not None:
                status: StreamState = "stale" if silence > STALE_AFTER_S else "live"
                self._announcer.announce(status, round(silence * 1000))

    def _silence(self) -> float | None:
        """Return the seconds since the stream was last current; None before the first answer."""
        last = self._tail.current_at
        return None if last is None else time.monotonic() - last

"""Finds out whether the relay is up to date with the database, for the answer of /readyz and for the notice that
clients are sent when the database stops answering. Logs both."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any, Protocol

from relay.auth.tokens import KeySource
from relay.metrics import Metrics
from relay.protocol.types import StreamState, rfc3339
from relay.source.opening import Watch
from relay.source.stream import Stream

log = logging.getLogger(__name__)

# After this many seconds without a reply of the database, what clients see may be out of date.
STALE_AFTER_S = 5.0
LOOK_S = 0.5  # seconds between two checks of when the database last replied
# If the database has left this many checks in a row unanswered, the relay is not ready: it could read no tasks for new
# clients, even if it receives the change stream from another process. One check may fail while the primary changes.
UNANSWERED_MAX = 2


class Announcer(Protocol):
    """Tells every listener (a client's connection or poll) whether the relay is up to date, each time that changes. In
    the relay this is the hub."""

    def announce(self, status: StreamState, lag_ms: int, /) -> None: ...


class Health:
    """Knows whether the relay is ready for clients, and tells the listeners when the database stops answering.

    The relay is ready while the database answers, the collection can be followed, there is a key to verify tokens with,
    and `stopping` is False. The caller sets `stopping` when the relay is asked to stop.
    """

    def __init__(self, tail: Stream, announcer: Announcer, keys: KeySource, watch: Watch) -> None:
        self._tail = tail
        self._announcer = announcer
        self._keys = keys
        self._watch = watch
        self._since = time.monotonic()
        self.stopping = False
        self._was_ready = False
        self._stale_since: float | None = (
            None  # the time of the last reply, by the monotonic clock; None: not stale
        )

    def show_in(self, metrics: Metrics) -> None:
        """Let these metrics say whether the relay is ready, whether it is stale, and how far it is behind."""
        metrics.ready.set_function(lambda: self.state()["ready"])
        metrics.stale.set_function(lambda: self.state()["stale"])
        metrics.lag.set_function(self._lag)

    def state(self) -> dict[str, Any]:
        """Return the body of /readyz as a dictionary.

        `ready` says whether the relay is ready for clients. `stale` says that the database has not answered yet, or not
        for more than STALE_AFTER_S seconds. `lastReplyMs` is the number of milliseconds since the last reply that
        showed that the change stream is up to date; it is missing before the first such reply."""
        silence = self._silence()
        stale = silence is None or silence > STALE_AFTER_S
        suits = self._watch.refused is None
        answers = self._watch.unanswered < UNANSWERED_MAX
        ready = not stale and suits and answers and not self.stopping and self._keys.current() is not None
        state: dict[str, Any] = {"ready": ready, "stale": stale}
        if silence is not None:
            state["lastReplyMs"] = round(silence * 1000)
        return state

    async def run(self) -> None:
        """Announce to all listeners when the database has stopped answering, and when it answers again. Ends only by
        cancellation."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not self._was_ready and self.state()["ready"]:
                self._was_ready = True
                log.info("relay ready", extra={"seconds": round(time.monotonic() - self._since, 3)})
            silence = self._silence()
            if silence is not None:
                status: StreamState = "stale" if silence > STALE_AFTER_S else "live"
                self._log_change(status, silence)
                self._announcer.announce(status, round(silence * 1000))

    def _log_change(self, status: StreamState, silence: float) -> None:
        """Log when the relay becomes stale, with the time of the last reply of the database, and when it is live
        again."""
        if status == "stale" and self._stale_since is None:
            self._stale_since = time.monotonic() - silence
            since = rfc3339(datetime.fromtimestamp(time.time() - silence, UTC))
            log.warning("relay stale: the database does not answer", extra={"since": since})
        elif status == "live" and self._stale_since is not None:
            stale_s = round(time.monotonic() - self._stale_since, 3)
            log.warning("relay live again", extra={"staleSeconds": stale_s})
            self._stale_since = None

    def _lag(self) -> float:
        """Return the number of seconds since the change stream was last up to date, or since the start if it has never
        been."""
        silence = self._silence()
        return time.monotonic() - self._since if silence is None else silence

    def _silence(self) -> float | None:
        """Return how many seconds ago the change stream was last up to date, or None if it has never been."""
        last = self._tail.current_at
        return None if last is None else time.monotonic() - last

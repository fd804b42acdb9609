"""The objects that all sessions (WebSocket connections) and all polls of one relay share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from relay.auth.admission import Admission
from relay.auth.limits import Buckets
from relay.config import Settings
from relay.hub.hub import Hub
from relay.metrics import Metrics
from relay.tasks.visibility import Audience


@dataclass(slots=True)
class Services:
    """The objects that every session and every poll needs to serve its client, and two clocks that tests can
    replace.

    `settings` and `audience` are replaced when the relay reloads, so they are read at each use. What a client was told
    in its `welcome` stays true for its connection: a session keeps the settings of its beginning.

    `reads` is the rate limit of each user (`sub`): it counts the requests that cost reads, of all sessions and polls of
    the user together."""

    settings: Settings
    admission: Admission
    audience: Audience
    hub: Hub
    reads: Buckets
    wall: Callable[[], float] = time.time  # seconds since 1970: decides when tokens expire
    monotonic: Callable[[], float] = time.monotonic  # seconds: measures all other times
    metrics: Metrics = field(default_factory=Metrics)
    shown_by: str = ""  # `DocumentReading.digest`: names how documents are read now

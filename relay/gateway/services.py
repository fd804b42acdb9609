"""The objects that every session and every poll of a relay shares."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from relay.auth.admission import Admission
from relay.config import Settings
from relay.hub.hub import Hub
from relay.tasks.visibility import Audience


@dataclass(frozen=True, slots=True)
class Services:
    """What serves the clients of one relay."""

    settings: Settings
    admission: Admission
    audience: Audience
    hub: Hub
    wall: Callable[[], float] = time.time  # in seconds since 1970: tokens expire by this clock
    monotonic: Callable[[], float] = time.monotonic  # in seconds: all other times are measured by this one

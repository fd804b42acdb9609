"""The rollout: for which users live delivery is switched on (PROTOCOL.md, section 9). Pure.

Rules of this file: a user gets the same answer from every instance and after every restart; a larger percentage
only adds users.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Self

from relay.config import Settings


class Rollout:
    """A switch for everyone, a percentage of users, and a list of users who are always included.

    If `enabled` is False, nobody is included, listed users neither.
    """

    def __init__(self, *, enabled: bool = True, percent: int = 100, users: Collection[str] = ()) -> None:
        self._enabled = enabled
        self._percent = percent
        self._users = frozenset(users)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the rollout of these settings."""
        return cls(
            enabled=settings.feature_websocket_enabled,
            percent=settings.feature_websocket_percent,
            users=settings.feature_websocket_users,
        )

    def is_in(self, sub: str) -> bool:
        """Is the user with this `sub` included?"""
        return self._enabled and (sub in self._users or percentile(sub) < self._percent)


def percentile(sub: str) -> int:
    """The user's place in the rollout, from 0 to 99: the SHA-256 of `sub` in UTF-8, read as a big-endian integer,
    modulo 100. The protocol documents it, and other programs compute it too, so it must not change."""
    return int.from_bytes(hashlib.sha256(sub.encode("utf-8", "surrogatepass")).digest(), "big") % 100

"""The rollout: decides for which users live delivery is switched on (PROTOCOL.md, section 9). Pure.

Rules of this file: for a given user, the answer is the same on every instance and after every restart; to increase the
percentage adds users, and excludes none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Self

from relay.config import Settings


class Rollout:
    """Decides which users the rollout includes: `percent` percent of all users, and those listed in `users`.

    If `enabled` is False, nobody is included, not even a listed user.
    """

    def __init__(self, *, enabled: bool = True, percent: int = 100, users: Collection[str] = ()) -> None:
        self._enabled = enabled
        self._percent = percent
        self._users = frozenset(users)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the rollout that the settings describe."""
        return cls(
            enabled=settings.feature_websocket_enabled,
            percent=settings.feature_websocket_percent,
            users=settings.feature_websocket_users,
        )

    def is_in(self, sub: str) -> bool:
        """Return whether the rollout includes the user with this `sub` (the name of the user in a token)."""
        if self._percent >= 100:
            return self._enabled
        return self._enabled and (sub in self._users or percentile(sub) < self._percent)


def percentile(sub: str) -> int:
    """Return the user's place in the rollout, from 0 to 99: the SHA-256 of `sub` in UTF-8, read as a big-endian
    integer, modulo 100. A rollout of p percent includes the places below p. The protocol documents this calculation,
    and other programs repeat it, so it must not change."""
    return int.from_bytes(hashlib.sha256(sub.encode("utf-8", "surrogatepass")).digest(), "big") % 100

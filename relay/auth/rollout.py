"""For whom the live connection is switched on (PROTOCOL.md 9). Pure.

Rules of this file: the same user gets the same answer on every instance and after every restart;
a larger share only adds users.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Self

from relay.config import Settings


class Rollout:
    """One deployment's switch, share and list."""

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
        """Is it on for this user? The switch turns it off for the listed users as well."""
        return self._enabled and (sub in self._users or place(sub) < self._percent)


def place(sub: str) -> int:
    """Where a user stands among the hundred parts: the SHA-256 of `sub` in UTF-8, as one big-endian
    number, modulo 100. Others can compute it too, so it must not change."""
    return int.from_bytes(hashlib.sha256(sub.encode("utf-8", "surrogatepass")).digest(), "big") % 100

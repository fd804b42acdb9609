"""What a process receives a change stream from that another process follows: the protocol `Feed`. Pure."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from bson import Timestamp

from relay.source.shared.entry import Entry


class FeedLost(Exception):
    """Nobody passes the change stream on at present. The message is a clause for the log."""


class Feed(Protocol):
    """Receives the entries of one change stream from another process."""

    @property
    def is_open(self) -> bool:
        """Whether `entries` can be called."""

    async def open(self, after: Timestamp | None) -> Entry:
        """Connect to the process that follows the stream, and return its position as an entry without events.

        `after` is the position of this process: the feed sends the entries that come after it, as far as it still has
        them. None stands for the feed's own position. Raises FeedLost if nobody passes the stream on.
        """

    def entries(self) -> AsyncGenerator[Entry | None]:
        """Yield the entries after the position that was given to `open`, in order; None if none came for a while.

        An entry may begin after the end of the one before: then some were lost. Raises FeedLost if the feed ends. The
        feed is closed when the generator ends.
        """

    async def close(self) -> None:
        """Leave the feed. Does nothing if it is not open."""

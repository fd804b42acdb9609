"""All that a relay needs to share its change stream with others through Redis, made from the settings. Does I/O."""

from __future__ import annotations

import logging
import random

from relay.config import Settings
from relay.source.client import names_of
from relay.source.shared.leader import Leader
from relay.source.shared.redis_feed import RedisFeed
from relay.source.shared.redis_reach import Server, Unusable, reach
from relay.source.shared.redis_stream import REDIS_ERRORS, RedisStream
from relay.source.shared.redis_url import client_of, keys_of, place_of
from relay.source.shared.seal import Seal
from relay.source.tail import Tail

log = logging.getLogger(__name__)


class RedisBus:
    """The change stream of one collection in Redis, for this relay.

    The constructor connects to nothing. Raises StartupError if the settings cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = ".".join(names_of(settings))
        self._seal = Seal(keys_of(settings), self._name)
        self.feed = RedisFeed(self._stream())

    def leader(self, tail: Tail, own: Tail) -> Leader:
        """Return the leader of this relay: `tail` is a tail for it alone, `own` the one that follows the stream."""
        return Leader(self._stream(), tail, own, jitter=random.random)

    async def ask(self) -> Server:
        """Ask Redis what it is. Raises Unusable or one of REDIS_ERRORS (see `redis_reach.reach`)."""
        client = client_of(self._settings)
        try:
            return await reach(client, self._name)
        finally:
            await client.aclose()

    async def reach(self) -> None:
        """See whether Redis can be used. Raises StartupError if its configuration or that of the relay is wrong.

        A Redis that is away is only logged: it is needed for nothing but to spare the database.
        """
        try:
            server = await self.ask()
        except Unusable as failure:
            raise failure.diagnosis.error from failure
        except REDIS_ERRORS as failure:
            said = {"redis": place_of(self._settings), "reason": type(failure).__name__}
            log.warning("Redis cannot be reached; this relay starts alone", extra=said)
        else:
            log.info(
                "sharing the change stream through Redis",
                extra={"redis": place_of(self._settings), "version": server.version},
            )

    def _stream(self) -> RedisStream:
        # Each has connections of its own: one waits for entries, while the other writes them.
        return RedisStream(
            client_of(self._settings), self._name, self._seal, kept_bytes=self._settings.relay_redis_max_bytes
        )

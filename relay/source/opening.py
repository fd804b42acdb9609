"""From the settings to a stream that is followed, and the look at the collection while it is. Does I/O."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

from bson import Timestamp
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from relay.config import Settings
from relay.errors import SourceError, Unavailable
from relay.source.client import SELECTION_MS, hosts_of
from relay.source.diagnosis import Diagnosis
from relay.source.outage import Outage
from relay.source.reach import FIRST_MS, of_collection, reach
from relay.source.reader import Reader
from relay.source.stream import Tail

log = logging.getLogger(__name__)

RETRY_S = 1.0
LOOK_S = 5.0  # between two looks at the collection


class Opening:
    """Opens the tail, once the database and the collection are what the relay needs."""

    def __init__(self, settings: Settings, client: AsyncMongoClient[Any], tail: Tail, reader: Reader) -> None:
        self._settings = settings
        self._client = client
        self._tail = tail
        self._reader = reader

    async def once(self, *, wait_ms: int = FIRST_MS) -> Timestamp:
        """The position that the stream starts from.

        Raises StartupError for what will not do, Unavailable for what may pass, each with the reason.
        """
        found = await reach(self._settings, self._client, wait_ms=wait_ms)
        if isinstance(found, Diagnosis):
            raise found.error
        try:
            refused = await of_collection(self._settings, self._client, self._reader)
        except PyMongoError as failure:
            raise Unavailable(f"MongoDB does not answer ({type(failure).__name__})") from failure
        if refused is not None:
            raise refused.error
        return await self._tail.open()

    async def patiently(self) -> Timestamp:
        """The same, tried again until it succeeds; why it did not is logged when it changes, and now and then.

        Raises StartupError.
        """
        outage, wait_ms = Outage(log, "MongoDB cannot be followed yet; trying again"), FIRST_MS
        while True:
            try:
                return await self.once(wait_ms=wait_ms)
            except Unavailable as failure:
                outage.failed(str(failure), hosts=hosts_of(self._settings), reason=str(failure))
            # The driver leaves a socket that was being connected to the garbage collector, which a relay runs seldom.
            gc.collect()
            wait_ms = SELECTION_MS  # the first answer comes soon; a slow network may need longer
            await asyncio.sleep(RETRY_S)


class Watch:
    """Looks at the collection while it is followed: is it still one that can be followed and read?

    One that comes, or comes back, as a view, as a time series or with a cap opens no stream that fails: nothing
    is sent, or nothing can be read. `refused` is why not, None while all is well. When it has become one again, the
    stream is opened afresh, because what was read or sent in between may be wrong.
    """

    def __init__(
        self,
        settings: Settings,
        client: AsyncMongoClient[Any],
        reader: Reader,
        tail: Tail,
    ) -> None:
        self._settings = settings
        self._client = client
        self._reader = reader
        self._tail = tail
        self.refused: Diagnosis | None = None

    async def run(self) -> None:
        """Look every few seconds, forever."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._tail.current_at is not None:  # until then, `Opening` looks
                await self.look()

    async def look(self) -> None:
        """Look once. Where no answer comes, the verdict stays: the tail says that the database is silent."""
        try:
            found = await of_collection(self._settings, self._client, self._reader)
        except (PyMongoError, SourceError, LookupError):
            return
        before, self.refused = self.refused, found
        if found is not None and found != before:
            log.error("the collection can no longer be followed", extra={"reason": str(found)})
        if found is None and before is not None:
            log.warning("the collection can be followed again")
            self._tail.reopen("the collection was replaced")

"""Open the change stream at start, and check later that the collection can still be followed. Does I/O.

To follow a collection is to read its change stream; the tail is the object that does so.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Any

from bson import Timestamp
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from relay.config import Settings
from relay.errors import SourceError, Unavailable
from relay.metrics import DatabaseError
from relay.source.cancellation import raise_if_cancelled
from relay.source.client import SELECTION_MS, hosts_of
from relay.source.diagnosis import Diagnosis
from relay.source.errors import kind_of
from relay.source.outage import Outage
from relay.source.reach import FIRST_MS, of_collection, reach
from relay.source.reader import Reader
from relay.source.stream import REPLACED, Stream

log = logging.getLogger(__name__)

RETRY_S = 1.0  # seconds between two attempts to open the stream
LOOK_S = 5.0  # seconds between two checks of the collection


class Opening:
    """Checks that the relay can use the database and the collection, and then opens the tail.

    `failed` is called with the kind of each failure that is retried.
    """

    def __init__(
        self,
        settings: Settings,
        client: AsyncMongoClient[Any],
        tail: Stream,
        reader: Reader,
        failed: Callable[[DatabaseError], None] = lambda _: None,
    ) -> None:
        self._failed = failed
        self._settings = settings
        self._client = client
        self._tail = tail
        self._reader = reader

    async def once(self, *, wait_ms: int = FIRST_MS, again_ms: int = 0) -> Timestamp:
        """Open the tail, and return the position (a cluster time) at which the change stream starts.

        `wait_ms` is how long the driver may look for a server, and `again_ms`, if given, how long it may look again if
        no answer came in time. Raises StartupError if the database or its configuration cannot work, Unavailable if the
        failure may be temporary. Both carry a sentence for the operator.
        """
        await self.examine(wait_ms=wait_ms, again_ms=again_ms)
        return await self._tail.open()

    async def examine(self, *, wait_ms: int = FIRST_MS, again_ms: int = 0) -> None:
        """Check that the relay can reach the database and read the collection. The times and what it raises are as in
        `once`."""
        found = await reach(self._settings, self._client, wait_ms=wait_ms, again_ms=again_ms)
        if isinstance(found, Diagnosis):
            raise found.error
        try:
            refused = await of_collection(self._settings, self._client, self._reader)
        except PyMongoError as failure:
            raise Unavailable(f"MongoDB does not answer ({type(failure).__name__})") from failure
        if refused is not None:
            raise refused.error

    async def patiently(self) -> Timestamp:
        """Open the tail, and return the position (a cluster time) at which the change stream starts.

        Temporary failures are retried until an attempt succeeds. The reason is logged when it changes, and otherwise
        once a minute. Raises StartupError if the database or its configuration cannot work.
        """
        outage, wait_ms = Outage(log, "MongoDB cannot be followed yet; trying again"), FIRST_MS
        while True:
            try:
                return await self.once(wait_ms=wait_ms)
            except Unavailable as failure:
                # Without an error of the driver, an answer has been missing, or was that of a server that is not ready.
                cause = failure.__cause__
                self._failed(kind_of(cause) if isinstance(cause, PyMongoError) else "no_answer")
                outage.failed(str(failure), hosts=hosts_of(self._settings), reason=str(failure))
            raise_if_cancelled()
            # The driver leaves half-connected sockets to the garbage collector, which runs rarely in the
            # relay: without this, they would pile up while the database is away.
            gc.collect()
            wait_ms = SELECTION_MS  # give a slow network more time than the first attempt had
            await asyncio.sleep(RETRY_S)


class Watch:
    """Checks every few seconds that the collection can still be followed and read.

    A collection may be replaced by a view, a time series or a capped collection. The change stream does not fail then:
    it sends nothing, or reads of the collection fail. `refused` says what is wrong, and is None while nothing is. When
    the collection can be followed again, the stream is reopened, because messages and reads in between may be wrong.

    `unanswered` counts the last checks in a row that the database did not answer. The tail notices that as well, unless
    another process passes the stream on to it. `failed` is called with the kind of each failure.
    """

    def __init__(
        self,
        settings: Settings,
        client: AsyncMongoClient[Any],
        reader: Reader,
        tail: Stream,
        failed: Callable[[DatabaseError], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._reader = reader
        self._tail = tail
        self._failed = failed
        self.refused: Diagnosis | None = None
        self.unanswered = 0
        self._outage = Outage(log, "MongoDB does not answer, although others pass its changes on")

    async def run(self) -> None:
        """Check every LOOK_S seconds, forever."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._tail.current_at is not None:  # until the stream is open, `Opening` makes these checks
                await self.look()
                raise_if_cancelled()

    async def look(self) -> None:
        """Check once, and set `refused` to the result. If the database does not answer, `refused` stays as it is."""
        earlier = self._tail.current_at
        try:
            found = await of_collection(self._settings, self._client, self._reader)
        except (PyMongoError, SourceError, LookupError) as failure:
            self.unanswered += 1
            if isinstance(failure, PyMongoError):  # others were counted by the reader
                self._failed(kind_of(failure))
            # A silent stream is logged elsewhere.
            if self.unanswered > 1 and self._tail.current_at != earlier:
                self._outage.failed(type(failure), error=type(failure).__name__)
            return
        self.unanswered = 0
        self._outage.over()
        before, self.refused = self.refused, found
        if found is not None and found != before:
            log.error("the collection can no longer be followed", extra={"reason": str(found)})
        if found is None and before is not None:
            log.warning("the collection can be followed again")
            self._tail.reopen(REPLACED)

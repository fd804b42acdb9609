"""A connection of any kind leaves no reference cycle, which only Python's garbage collector could free.

The relay lets the collector run seldom (`relay/cli/process.py`). Until then a cycle keeps the headers and the body of
its request. So with one cycle per request a stranger without a token could use up the memory.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import pytest
from pymongo import MongoClient
from support.bare_visits import HANDSHAKE_MS, KINDS, POLL_WAIT_MS, SLOW, Visitor
from support.relay_fixture import running_in_thread, settings_for

from relay.errors import Unavailable
from relay.gateway.polling.poll import Poll
from relay.gateway.polling.subscribers import News
from relay.gateway.services import Services
from relay.protocol import polls
from relay.tasks.visibility import Principal

REQUESTS = int(os.environ.get("RELAY_TEST_GARBAGE_REQUESTS") or (500 if os.environ.get("CI") else 50))
ATTEMPTS = 3  # a visit that leaves something does so each time; an earlier test may leave something once
SETTLED_S = (
    30.0  # shorter than the 75 s for which an idle connection may wait, which must hold nothing either
)
DATABASE = "test_garbage"
OF_CONNECTIONS = {
    "HttpProtocol",
    "RequestResponseCycle",
    "Handshake",
    "Connection",
    "Outbox",
    "Parser",
    "Session",
    "Listener",
    "Poll",
    "Failing",
}


class Failing(Poll):
    """A poll that fails if it asks for the task "away" or "broken"."""

    def __init__(self, services: Services, principal: Principal, request: polls.Poll) -> None:
        super().__init__(services, principal, request)
        self._named = {one.task_id for one in request.tasks}

    async def _first_news(self) -> list[News]:
        if "away" in self._named:
            raise Unavailable("the database is unavailable")
        if "broken" in self._named:
            raise RuntimeError("broken")
        return await super()._first_news()


@pytest.fixture(scope="module")
def visitor(mongo_url: str, mongo: MongoClient[dict[str, Any]]) -> Iterator[Visitor]:
    mongo[DATABASE]["tasks"].insert_one({"_id": "t1", "createdBy": "alice", "events": [{"type": "a"}]})

    def relay(**given: object) -> AbstractContextManager[str]:
        return running_in_thread(settings_for(mongo_url, DATABASE, relay_poll_wait_ms=POLL_WAIT_MS, **given))

    with (
        patch("relay.gateway.polling.endpoint.Poll", Failing),
        relay(relay_messages_per_second=10**6) as url,
        relay(relay_messages_per_second=1) as slow,
        relay(feature_websocket_enabled=False) as off,
        relay(relay_handshake_timeout_ms=HANDSHAKE_MS) as hasty,
    ):
        yield Visitor(url, slow, off, hasty)
    mongo.drop_database(DATABASE)


def alive() -> Counter[str]:
    """The number of objects of each type that serves connections and requests."""
    named = [type(one) for one in gc.get_objects() if type(one).__name__ in OF_CONNECTIONS]
    # The driver has classes of the same names.
    return Counter(kind.__name__ for kind in named if not kind.__module__.startswith("pymongo."))


def left_by(visit: Callable[[], None], times: int) -> tuple[Counter[str], Counter[str]]:
    """Make this many visits. Return the objects still held, and those that only the collector finds, by type."""
    for _ in range(3):
        visit()  # so that objects that are made once exist by now
    gc.collect()
    before = alive()
    logging.disable()  # pytest would keep the log records, with their tracebacks
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        with ThreadPoolExecutor(5) as visitors:
            for visited in [visitors.submit(visit) for _ in range(times)]:
                visited.result()
        given_up = time.monotonic() + SETTLED_S
        while (held := alive() - before) and time.monotonic() < given_up:
            time.sleep(0.01)
        gc.collect()
        return held, Counter(type(one).__name__ for one in gc.garbage)
    finally:
        logging.disable(logging.NOTSET)
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_leaves_no_garbage(visitor: Visitor, kind: str) -> None:
    times = REQUESTS // 10 if kind in SLOW else REQUESTS
    for attempt in range(ATTEMPTS):
        held, garbage = left_by(lambda: KINDS[kind](visitor), times)
        # The driver and the event loop may leave a few objects of their own, but not some for each visit.
        if not held and garbage.total() < times:
            return
        print(f"attempt {attempt + 1}: held {held}, garbage {garbage.most_common(12)}")
    pytest.fail("something is left each time")

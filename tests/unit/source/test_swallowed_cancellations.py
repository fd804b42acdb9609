"""Whatever waits for the driver ends when it is cancelled, also where the driver has swallowed the cancellation, as
`asyncio.wait_for` of Python 3.11 does at the moment in which a command was sent. A relay never ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from bson import Timestamp
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect, OperationFailure
from support.relay_fixture import SOON_S, settings_for

from relay.source import opening, reader
from relay.source.decoder import Decoder
from relay.source.opening import Opening, Watch
from relay.source.reader import Reader

NOW = Timestamp(1, 1)


class Driver:
    """A call of the driver that ends like this when it is cancelled, as if its answer had just arrived."""

    def __init__(self, end: Any) -> None:
        self._end = end
        self.asked = asyncio.Event()

    async def __call__(self, *_: Any, **__: Any) -> Any:
        self.asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        if isinstance(self._end, Exception):
            raise self._end
        return self._end


@pytest.fixture
async def a_reader() -> AsyncIterator[Reader]:
    async with AsyncMongoClient[Any]("mongodb://127.0.0.1:1/", connect=False) as client:
        yield Reader(client, "app", "tasks", Decoder("events"))


@pytest.mark.parametrize("end", [[], OperationFailure("capped", 166), AutoReconnect("away")], ids=repr)
async def test_a_read_that_is_cancelled_ends_as_cancelled(
    end: Any, a_reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(end)
    monkeypatch.setattr(a_reader, "_run", driver)
    await ends(a_reader.read_at(NOW, {}), driver)


@pytest.mark.parametrize("end", [NOW, None, AutoReconnect("away")], ids=repr)
async def test_a_question_for_the_time_that_is_cancelled_ends_as_cancelled(
    end: Any, a_reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(end)
    monkeypatch.setattr(reader, "latest_time", driver)
    await ends(a_reader.now(), driver)


async def test_attempts_to_reach_the_database_end(a_reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(None)
    monkeypatch.setattr(opening, "reach", driver)
    tail: Any = SimpleNamespace()
    made = Opening(settings_for("mongodb://127.0.0.1:1/", "app"), a_reader._client, tail, a_reader)
    monkeypatch.setattr(opening, "of_collection", failing)
    await ends(made.patiently(), driver)


async def test_checks_of_the_collection_end(a_reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(None)
    monkeypatch.setattr(opening, "of_collection", driver)
    monkeypatch.setattr(opening, "LOOK_S", 0)
    tail: Any = SimpleNamespace(current_at=NOW)
    await ends(
        Watch(settings_for("mongodb://127.0.0.1:1/", "app"), a_reader._client, a_reader, tail).run(), driver
    )


async def failing(*_: Any) -> None:
    raise AutoReconnect("away")


async def ends(waiting: Coroutine[Any, Any, Any], driver: Driver) -> None:
    """Cancel this once, while it waits for the driver, and see that it ends as cancelled."""
    task = asyncio.ensure_future(waiting)
    await driver.asked.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=SOON_S / 10)
    if not done:
        task.cancel()
        await asyncio.wait([task])
        pytest.fail("it went on")
    assert task.cancelled()

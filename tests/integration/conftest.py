"""Fixtures for integration tests: a collection in a database of each test's own, and settings for a relay on it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from pymongo import MongoClient
from support.relay_fixture import SOON_S, WORKER_LIMITS, settings_for, settings_to_serve
from support.worker_processes import Workers, samples, until, workers

from relay import app, health, pipeline
from relay.gateway.services import Services
from relay.hub import reads


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """Give a relay that runs in a test more time for what a busy machine may take seconds for.

    It takes the database for silent later, because `stream:status` would be among the messages that a test compares. At
    its end it waits longer until its MongoDB clients are closed, because a client that is given up fails a test with a
    ResourceWarning.
    """
    with patch.object(health, "STALE_AFTER_S", SOON_S), patch.object(pipeline, "FAREWELL_S", SOON_S):
        yield


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name]["tasks"]


@pytest.fixture
def with_(mongo_url: str, database_name: str) -> Callable[..., Any]:
    """A function that makes the settings of a relay for this test: `with_(relay_port=80)`."""
    return lambda **given: settings_for(mongo_url, database_name, **given)


@pytest.fixture
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock of sessions and polls stand still, so that a rate limit does not permit more while a test of it
    takes seconds on a busy machine."""
    now = time.monotonic()
    monkeypatch.setattr(app, "Services", partial(Services, monotonic=lambda: now))


@pytest.fixture
def patient_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a join or a poll wait longer until the relay has seen what was just written. A busy machine may take longer
    than usual for that, and the task would be refused."""
    monkeypatch.setattr(reads, "CATCH_UP_S", SOON_S)


@pytest.fixture
def environment(mongo_url: str, database_name: str) -> dict[str, str]:
    """The environment of a relay that runs as a process."""
    return settings_to_serve(mongo_url, database_name) | {"RELAY_LOG_LEVEL": "DEBUG"}


@pytest.fixture
def good(mongo_url: str, database_name: str) -> dict[str, str]:
    """Settings with which `relay serve` starts."""
    return settings_to_serve(mongo_url, database_name)


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield settings with a directory for temporary files, which must be empty afterwards."""
    yield {"TMPDIR": str(tmp_path)}
    assert list(tmp_path.iterdir()) == []


TWO_WORKERS = WORKER_LIMITS | {"RELAY_WORKERS": "2"}


@pytest.fixture
def two_workers(good: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield settings for a relay with two workers, as an environment, with a directory for temporary files, which must
    be empty afterwards."""
    (directory := tmp_path / "temporary").mkdir()
    yield good | TWO_WORKERS | {"TMPDIR": str(directory)}
    assert list(directory.iterdir()) == []


@pytest.fixture(scope="module")
def lasting_settings() -> dict[str, str]:
    """Further settings of `lasting_relay`. A module may override this fixture."""
    return {}


@pytest.fixture(scope="module")
def lasting_database(mongo: MongoClient[dict[str, Any]]) -> Iterator[str]:
    """The database of `lasting_relay`, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    mongo.drop_database(name)


@pytest.fixture(scope="module")
def lasting_relay(
    mongo_url: str,
    lasting_database: str,
    lasting_settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Workers]:
    """A relay with two workers that serves all tests of a module, one after the other. A process of it that dies is
    always started again as after its first failure. In the end, it leaves no temporary file."""
    directory, temporary = tmp_path_factory.mktemp("relay"), tmp_path_factory.mktemp("temporary")
    given = settings_to_serve(mongo_url, lasting_database) | {
        "TMPDIR": str(temporary),
        "RELAY_HEARTBEAT_MS": "120000",  # so that none is among the messages that a test compares
    }
    patches = {
        "relay.workers.backoff.STEADY_S": 0.0,
        # For a relay of one process:
        "relay.health.STALE_AFTER_S": SOON_S,
        "relay.hub.reads.CATCH_UP_S": SOON_S,
    }
    running = workers(directory, patches=patches, **given | TWO_WORKERS | lasting_settings)
    with asyncio.Runner() as runner:
        relay = runner.run(running.__aenter__())
        try:
            yield relay
            assert runner.run(relay.end()) == 0
            assert list(temporary.iterdir()) == []
        finally:
            runner.run(running.__aexit__(None, None, None))


@pytest.fixture
async def relay(lasting_relay: Workers) -> AsyncIterator[Workers]:
    """`lasting_relay` with two workers that are ready and have no clients, and with an empty log."""
    await lasting_relay.ready(2)
    await until(lambda: samples(lasting_relay.url), lambda found: found["relay_connections"] == 0)
    lasting_relay.forget()
    yield lasting_relay
    assert "Traceback" not in lasting_relay.said()


@pytest.fixture
def relay_tasks(mongo: MongoClient[dict[str, Any]], lasting_database: str) -> Iterator[Any]:
    """The collection of `lasting_relay`, empty again afterwards."""
    yield (tasks := mongo[lasting_database]["tasks"])
    tasks.delete_many({})


@pytest.fixture
def profiled_tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Iterator[Any]:
    """The collection of tasks, of which MongoDB records every read."""
    database = mongo[database_name]
    database.create_collection("tasks")
    database.command("profile", 2)
    yield database["tasks"]
    database.command("profile", 0)

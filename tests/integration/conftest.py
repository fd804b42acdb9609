"""Fixtures for integration tests: a collection in a database of each test's own, and settings for a relay on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from pymongo import MongoClient
from support.relay_fixture import SECRET, SOON_S, settings_for

from relay import health, pipeline


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
def environment(mongo_url: str, database_name: str) -> dict[str, str]:
    """The environment of a relay that runs as a process."""
    return {
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database_name,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": "0",
        "RELAY_LOG_LEVEL": "DEBUG",
    }


@pytest.fixture
def good(mongo_url: str, database_name: str) -> dict[str, str]:
    """Settings with which `relay serve` starts."""
    return {
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database_name,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": "0",
    }


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield settings with a directory for temporary files, which must be empty afterwards."""
    yield {"TMPDIR": str(tmp_path)}
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def two_workers(good: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield settings for a relay with two workers, as an environment, with a directory for temporary files, which must
    be empty afterwards."""
    (directory := tmp_path / "temporary").mkdir()
    yield good | {
        "RELAY_WORKERS": "2",
        "RELAY_DRAIN_MS": "500",
        "RELAY_MAX_CONNECTIONS_PER_USER": "3000",
        "RELAY_MAX_CONNECTIONS_PER_ADDRESS": "3000",
        "RELAY_MESSAGES_PER_SECOND": "1000",
        "TMPDIR": str(directory),
    }
    assert list(directory.iterdir()) == []


@pytest.fixture
def profiled_tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Iterator[Any]:
    """The collection of tasks, of which MongoDB records every read."""
    database = mongo[database_name]
    database.create_collection("tasks")
    database.command("profile", 2)
    yield database["tasks"]
    database.command("profile", 0)

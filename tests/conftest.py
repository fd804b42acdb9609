"""What every test may use: one real mongod a run, a database a test, and no silent skips under CI."""

from __future__ import annotations

import gc
import os
import signal
import uuid
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

from relay.cli.demo import mongod as embedded

# A busy machine may be slow; that is no failure of what is tested. Under CI the examples are the same in every run, so
# that only a change of the code can make a test fail. Elsewhere they are random, and those that failed come first.
settings.register_profile(
    "relay",
    settings.get_profile("ci" if os.environ.get("CI") else "default"),
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("relay")

# At 1 ms a server takes 5 % of a core while nothing happens, and tests run up to ten at once. At 10 ms it is 2 %.
embedded.JOURNAL_COMMIT_MS = 10
embedded.READY_S = 120.0  # on a busy machine


# What is ignored here would be ignored by every process that a test starts: SIGHUP if these tests were started by
# nohup, SIGINT if in the background of a script. With a handler, those start as from a terminal.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)


# The driver leaves a socket to the garbage collector if it is cancelled while it opens a connection, as at the end of a
# relay on a busy machine. The collector may come, and warn, in the middle of a later test.
UNCLOSED = r"ignore:unclosed <socket\.socket .*raddr=\('[^']*', {port}\b:ResourceWarning"


@pytest.fixture(scope="session")
def mongo_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """A replica set: the one of RELAY_MONGO_URL, or one started for this run."""
    given = os.environ.get("RELAY_MONGO_URL")
    with nullcontext() if given else embedded.start() as server:
        url = given if server is None else server.url
        for _, port in parse_uri(url)["nodelist"]:
            pytestconfig.addinivalue_line("filterwarnings", UNCLOSED.format(port=port))
        yield url


@pytest.fixture(scope="session")
def mongo(mongo_url: str) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo_url) as client:
        yield client


@pytest.fixture
def database_name(mongo: MongoClient[dict[str, Any]]) -> Iterator[str]:
    """A database of this test's own, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    mongo.drop_database(name)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking again and again at thousands of tests, which stay until the end."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and os.environ.get("CI"):
        terminalreporter.write_line("Under CI nothing may be skipped.", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure() -> None:
    # pytest looks for the last time for what was not closed, and a socket that the driver has left would fail the run.
    warnings.filterwarnings("ignore", r"unclosed <socket\.socket", ResourceWarning)

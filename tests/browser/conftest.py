"""Fixtures: a real Chromium, and a relay that runs beside the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from accessibility import axe_source
from chromium import BROWSERS
from playwright.sync_api import Page
from pymongo import MongoClient
from support.browser_contexts import Contexts
from support.browser_site import NETWORK_ERRORS, Site
from support.relay_fixture import SOON_S, settings_for
from support.steady_ports import SteadyPort

from relay import pipeline

HERE = Path(__file__).parent
PORTS = (SteadyPort(), SteadyPort())


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """Let a relay wait longer at its end until its MongoDB clients are closed, because a client that it gives up on a
    busy machine fails a test with a ResourceWarning."""
    with patch.object(pipeline, "FAREWELL_S", SOON_S):
        yield


# Playwright runs an event loop in this thread, so it has to end before the next asynchronous test.
@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    if nextitem is None or HERE not in nextitem.path.parents:
        BROWSERS.close()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    BROWSERS.close()  # if the tests were interrupted


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    return BROWSERS.start()


@pytest.fixture(scope="session")
def axe() -> str:
    return axe_source()


@pytest.fixture
def site(
    contexts: Contexts, mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str
) -> Iterator[Site]:
    """A relay with pages, and with a port for operators. Fails the test if a page raises an error or writes to the
    console."""
    settings = settings_for(mongo_url, database_name, relay_admin_port=0)
    site = Site(settings, mongo[database_name]["tasks"], contexts)
    site.url, site.admin_url = (f"http://127.0.0.1:{port.number()}" for port in PORTS)
    site.start()
    try:
        yield site
    finally:
        site.close()
    assert [line for line in site.console if not any(part in line for part in NETWORK_ERRORS)] == []


@pytest.fixture
def page(site: Site) -> Page:
    return site.page

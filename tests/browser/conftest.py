"""Fixtures: a real Chromium, and a relay that runs beside the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from accessibility import axe_source
from dashboard import SOON_MS
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pymongo import MongoClient
from support.browser_site import NETWORK_ERRORS, Site
from support.relay_fixture import SOON_S, settings_for

from relay import pipeline

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """Let a relay wait longer at its end until its MongoDB clients are closed, because a client that it gives up on a
    busy machine fails a test with a ResourceWarning."""
    with patch.object(pipeline, "FAREWELL_S", SOON_S):
        yield


# Playwright runs an event loop in this thread, so it has to end before the next asynchronous test.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    expect.set_options(timeout=SOON_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    return axe_source()


@pytest.fixture
def site(
    browser: Browser, mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str
) -> Iterator[Site]:
    """A relay with pages, and with a port for operators. Fails the test if a page raises an error or writes to the
    console."""
    settings = settings_for(mongo_url, database_name, relay_admin_port=0)
    site = Site(settings, mongo[database_name]["tasks"], browser)
    site.start()
    try:
        yield site
    finally:
        site.close()
    assert [line for line in site.console if not any(part in line for part in NETWORK_ERRORS)] == []


@pytest.fixture
def page(site: Site) -> Page:
    return site.page

"""The real Chromium, which the tests of this folder share: it costs seconds to start."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack

import pytest
from dashboard import SOON_MS
from playwright.sync_api import Playwright, expect, sync_playwright
from support.browser_contexts import Contexts

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browsers:
    """Chromium by the arguments that Playwright passes by itself and this one does not get; each started once."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._playwright: Playwright | None = None
        self._started: dict[tuple[str, ...], Contexts] = {}

    def start(self, *without: str) -> Contexts:
        """Return the contexts of a browser that runs; start it if it does not. Skips the test if there is none."""
        if CHROMIUM is None:
            pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
        if self._playwright is None:
            expect.set_options(timeout=SOON_MS)
            self._playwright = self._running.enter_context(sync_playwright())
        known = self._started.get(without)
        if known is None or not known.browser.is_connected():
            browser = self._playwright.chromium.launch(
                executable_path=CHROMIUM, args=ARGUMENTS, ignore_default_args=list(without)
            )
            self._running.callback(browser.close)
            self._started[without] = known = Contexts(browser)
        return known

    def close(self) -> None:
        """End the browsers, and the event loop of Playwright in this thread."""
        self._started.clear()
        self._running.close()
        self._playwright = None


BROWSERS = Browsers()

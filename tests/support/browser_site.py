"""A relay with its database, and the pages that users open on it in Chromium."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page
from pymongo.collection import Collection

from relay.config import Settings, load
from support.browser_contexts import Contexts
from support.relay_fixture import relay_in_thread, token

PAGE_TIMEOUT_MS = 30_000  # usually milliseconds; this is the limit on a busy machine
EXPIRES_IN_S = 4  # enough for a frame from the page to the relay
# Messages that the browser itself logs about failed connections and an emulated network loss.
NETWORK_ERRORS = ("WebSocket connection to", "net::ERR_", "status of 426")


class Site:
    """A running relay with its address and tasks, and the pages that users open on it."""

    def __init__(self, settings: Settings, tasks: Collection[dict[str, Any]], contexts: Contexts) -> None:
        self._settings = settings
        self._running = ExitStack()
        self._contexts = contexts
        self._pages = ExitStack()
        self.console: list[str] = []
        self.tasks = tasks
        self.url = ""
        self.admin_url = ""  # of the admin port, if the settings have one

    @cached_property
    def page(self) -> Page:
        """The page of the first user."""
        return self.another()

    def start(self) -> None:
        """Start the relay; again at its earlier ports, if it had some."""
        ports = {"relay_port": urlsplit(self.url).port or 0}
        if self._settings.relay_admin_port is not None:
            ports["relay_admin_port"] = urlsplit(self.admin_url).port or 0
        relay = self._running.enter_context(relay_in_thread(self._settings.model_copy(update=ports)))
        self.url, self.admin_url = relay.url, relay.admin_url

    def stop(self) -> None:
        self._running.close()

    def restart(self, **changed: object) -> None:
        """Restart the relay at its earlier port with other settings."""
        self.stop()
        self._settings = load(**self._settings.model_dump() | changed)
        self.start()

    def another(self, **options: Any) -> Page:
        """Open a page for another user, in a browser context of its own; the options are those of `Contexts.page`."""
        options = {"viewport": {"width": 1360, "height": 850}} | options
        page = self._pages.enter_context(self._contexts.page(**options))
        page.set_default_timeout(PAGE_TIMEOUT_MS)
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.console.append(str(error)))
        return page

    def open(
        self, sub: str = "alice", *, page: Page | None = None, ttl_s: float = 600, **claims: Any
    ) -> Page:
        """Open the dashboard as a user, and wait until it is live."""
        page = page or self.page
        page.goto(f"{self.url}/#token={token(sub, ttl_s=ttl_s, **claims)}")
        page.wait_for_selector('[data-connection="live"]')
        return page

    def let_expire(self, sub: str = "alice") -> None:
        """Give the page, which is live, a token of its user that ends soon. One that it starts with could end, on a
        busy machine, before it is live."""
        self.page.goto(f"{self.url}/#token={token(sub, ttl_s=EXPIRES_IN_S)}")

    def close(self) -> None:
        self._pages.close()
        self.stop()

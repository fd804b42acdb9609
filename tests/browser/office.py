"""The dashboard inside an application: nginx serves both under one origin, as in the guide."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from support.certificates import Authority
from support.guide_proxies import PATHS, nginx, running_proxy
from support.office_application import Application, running_application
from support.steady_ports import SteadyPort

PORT = SteadyPort()

# Notes everything that the page says of its connection, from its first moment on.
NOTED = """() => {
  window.noted = new Set();
  const note = () => {
    const chip = document.querySelector("#connection"), banner = document.querySelector("#banner");
    if (chip) noted.add(chip.dataset.connection);
    if (banner && !banner.hidden) noted.add(`banner: ${banner.textContent}`);
    if (document.querySelector(".sign-in:not([hidden])")?.checkVisibility()) noted.add("sign-in");
  };
  const everything = { childList: true, subtree: true, attributes: true, characterData: true };
  new MutationObserver(note).observe(document, everything);
}"""

# What a browser does to pages that may store nothing, as in a frame of another site.
REFUSING = """(() => {
  const refuse = () => { throw new DOMException("Access is denied for this document.", "SecurityError"); };
  for (const name of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(window, name, { get: refuse });
  }
  window.BroadcastChannel = refuse;
})()"""


@dataclass
class Office:
    """An application, and a page of one of its users."""

    origin: str
    app: Application
    page: Page

    @property
    def url(self) -> str:
        """The address of the dashboard."""
        return f"{self.origin}/live/"

    def sign_in(self, user: str = "alice", page: Page | None = None, back: str = "/") -> None:
        """Sign in to the application as this user."""
        self.app.user = user
        (page or self.page).goto(f"{self.origin}/login?return_to={back}")

    def another_tab(self) -> Page:
        """Open an empty tab of the same browser."""
        return self.page.context.new_page()


def noted(page: Page) -> set[str]:
    """Return what the page has said of its connection; see NOTED."""
    found: list[str] = page.evaluate("[...noted]")
    return set(found)


@contextmanager
def working_office(site: Any, directory: Path, **settings: object) -> Iterator[Office]:
    """Serve the relay of the site under the path of an application, with these settings of the relay."""
    if shutil.which("nginx", path=PATHS) is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx)")
    port = PORT.number()
    origin = f"https://127.0.0.1:{port}"
    relay = site.url.removeprefix("http://")
    given: dict[str, object] = {
        "relay_public_url": f"{origin}/live",
        "relay_token_url": "/live-token",
        "relay_sign_in_url": f"{origin}/login",
        "relay_trusted_proxies": ("127.0.0.1",),
    }
    site.restart(**given | settings)
    page = site.another(ignore_https_errors=True, script=f"({NOTED})()")
    certificate = Authority(directory).issue("office")
    with running_application() as app:
        command = nginx(directory, port, relay, certificate, application=app.address)
        with running_proxy(command, port, directory):
            yield Office(origin, app, page)
            for each in page.context.pages:
                each.close()
    # Browsers write each answer of this kind to the console, also where the page expects it.
    site.console[:] = [line for line in site.console if "the server responded with a status of" not in line]

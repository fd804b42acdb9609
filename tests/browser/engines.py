"""Browsers of three engines, each driven by what its makers provide: Chromium by Playwright, Firefox by WebDriver BiDi
over a WebSocket, WebKit (GTK) by WebDriver over HTTP and on a display of its own."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from glob import glob
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Protocol

import pytest
from chromium import BROWSERS
from dashboard import until
from playwright.sync_api import Page
from support.relay_fixture import SOON_S
from support.subprocesses import started
from websockets.sync.client import ClientConnection, connect

from relay.cli.demo import mongod as embedded

MINI_BROWSER = "/usr/lib/*/webkit2gtk-4.1/MiniBrowser"  # comes with the driver
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of a reference to an element (W3C WebDriver)


class Tab(Protocol):
    """One tab of a browser."""

    def goto(self, url: str) -> None:
        """Go to a page, and wait until it is loaded."""

    def back(self) -> None:
        """Go back to the page before."""

    def run(self, body: str) -> Any:
        """Run the body of a function in the page, and return what it returns."""

    def click(self, selector: str) -> None:
        """Click the middle of an element."""

    def type(self, selector: str, text: str) -> None:
        """Click an element, and press the keys for a text."""


class Chromium:
    """A tab of Chromium."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def goto(self, url: str) -> None:
        self._page.goto(url)

    def back(self) -> None:
        self._page.go_back(wait_until="commit")

    def run(self, body: str) -> Any:
        return self._page.evaluate(f"() => {{ {body} }}")

    def click(self, selector: str) -> None:
        self._page.locator(selector).first.click()

    def type(self, selector: str, text: str) -> None:
        self.click(selector)
        self._page.keyboard.type(text)


class Firefox:
    """A tab of Firefox. Commands and answers are JSON: https://w3c.github.io/webdriver-bidi"""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._commands = 0
        self._call("session.new", capabilities={})
        self._context = self._call("browsingContext.getTree")["contexts"][0]["context"]
        viewport = {"width": 1360, "height": 850}
        self._call("browsingContext.setViewport", context=self._context, viewport=viewport)

    def goto(self, url: str) -> None:
        self._call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def back(self) -> None:
        self._call("browsingContext.traverseHistory", context=self._context, delta=-1)

    def run(self, body: str) -> Any:
        answer = self._call(
            "script.evaluate",
            expression=f"JSON.stringify((() => {{ {body} }})() ?? null)",
            target={"context": self._context},
            awaitPromise=False,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def click(self, selector: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{ block: 'nearest' }})")
        locator = {"type": "css", "value": selector}
        found = self._call("browsingContext.locateNodes", context=self._context, locator=locator)
        origin = {"type": "element", "element": {"sharedId": found["nodes"][0]["sharedId"]}}
        actions = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._act({"type": "pointer", "id": "mouse", "actions": actions})

    def type(self, selector: str, text: str) -> None:
        self.click(selector)
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keyboard", "actions": actions})

    def _act(self, source: dict[str, Any]) -> None:
        self._call("input.performActions", context=self._context, actions=[source])

    def _call(self, method: str, **parameters: Any) -> Any:
        self._commands += 1
        command = {"id": self._commands, "method": method, "params": parameters}
        self._socket.send(json.dumps(command))
        while True:
            answer = json.loads(self._socket.recv(timeout=SOON_S))
            if answer.get("id") == self._commands:
                assert answer["type"] == "success", answer
                return answer["result"]


class WebKit:
    """A tab of WebKit. Commands are requests with JSON: https://w3c.github.io/webdriver"""

    def __init__(self, port: int, browser: str) -> None:
        self._port = port
        self._session = ""
        options = {"webkitgtk:browserOptions": {"binary": browser, "args": ["--automation"]}}
        made = self._call("POST", "", {"capabilities": {"alwaysMatch": options}})
        self._session = f"/{made['sessionId']}"
        self._call("POST", "/window/rect", {"width": 1360, "height": 850})

    def goto(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def back(self) -> None:
        self._call("POST", "/back", {})

    def run(self, body: str) -> Any:
        return self._call("POST", "/execute/sync", {"script": body, "args": []})

    def click(self, selector: str) -> None:
        self._act(selector, "click", {})

    def type(self, selector: str, text: str) -> None:
        self._act(selector, "value", {"text": text})

    def close(self) -> None:
        self._call("DELETE", "", None)

    def _act(self, selector: str, action: str, body: dict[str, Any]) -> None:
        """Do this with an element as soon as that is possible: a busy machine may not have laid it out yet."""
        deadline = time.monotonic() + SOON_S
        while True:
            try:
                return self._call("POST", f"/element/{self._found(selector)}/{action}", body)
            except AssertionError as failure:
                if "element not interactable" not in str(failure) or time.monotonic() > deadline:
                    raise

    def _found(self, selector: str) -> str:
        reference = self._call("POST", "/element", {"using": "css selector", "value": selector})
        return str(reference[ELEMENT])

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=2 * SOON_S)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/session{self._session}{path}", text)
            response = connection.getresponse()
            value = json.loads(response.read())["value"]
            assert response.status == 200, value
            return value
        finally:
            connection.close()


@contextmanager
def chromium(_: Path) -> Iterator[Tab]:
    """Run Chromium."""
    with BROWSERS.start().page() as page:
        yield Chromium(page)


@contextmanager
def firefox(folder: Path) -> Iterator[Tab]:
    """Run Firefox with its profile in this folder."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("Firefox is not installed (Debian: apt-get install firefox-esr)")
    arguments = ("--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(folder))
    with started(program, *arguments, "about:blank", HOME=str(folder)) as browser:
        url = browser.read_until(r"WebDriver BiDi listening on (ws://\S+)\n")[1]
        with connect(f"{url}/session", proxy=None, max_size=None) as socket:
            yield Firefox(socket)


@contextmanager
def webkit(folder: Path) -> Iterator[Tab]:
    """Run the browser that comes with WebKit for GTK."""
    driver, display, browsers = shutil.which("WebKitWebDriver"), shutil.which("Xvfb"), glob(MINI_BROWSER)
    if driver is None or display is None or not browsers:
        pytest.skip("WebKit is not installed (Debian: apt-get install webkit2gtk-driver xvfb)")
    port = embedded.free_port()
    with started(display, "-displayfd", "1", "-screen", "0", "1440x900x24", "-nolisten", "tcp") as screen:
        number = screen.read_until(r"(\d+)\n")[1]
        given = {
            "DISPLAY": f":{number}",
            "HOME": str(folder),
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",  # there is no graphics card
            "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",  # root cannot make one; only our own page is shown
        }
        with started(driver, f"--port={port}", **given):
            until(lambda: _listens(port), "the driver listens")
            tab = WebKit(port, browsers[0])
            try:
                yield tab
            finally:
                tab.close()


def _listens(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=SOON_S)
    try:
        connection.request("GET", "/status")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


ENGINES: dict[str, Callable[[Path], AbstractContextManager[Tab]]] = {
    "Chromium": chromium,
    "Firefox": firefox,
    "WebKit": webkit,
}

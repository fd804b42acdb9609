"""The client in a real browser: no network for a while, no WebSocket, an origin that is not allowed."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

import pytest
from dashboard import SOON_MS, until
from origin import served
from playwright.sync_api import Page, Route, expect
from support.browser_site import Site
from support.relay_fixture import token

from relay.gateway.pages.served import WEB

# What Chromium writes about an answer that an origin may not read, an address that a page may not connect to, and a
# page without an icon.
BROWSER_ERRORS = ("CORS policy", "Mixed Content", "status of 40")

CONNECT = """
    async ([url, token]) => {
        const { connect } = await import("/client/index.js");
        window.relay = connect({ url, token: () => token });
        window.statuses = [];
        relay.onStatus((status) => statuses.push(status));
        window.list = relay.joinDashboard();
    }
"""


@pytest.fixture
def site(site: Site) -> Any:
    yield site
    site.console = [line for line in site.console if not any(part in line for part in BROWSER_ERRORS)]


def page_of(page: Page, folder: Path, origin: str) -> None:
    """Open a page at this origin, even if nothing serves it, that has the client at the same origin."""

    def serve(route: Route) -> None:
        path = route.request.url.removeprefix(origin).lstrip("/")
        if not path:
            route.fulfill(body="<!doctype html><title>A page</title>", content_type="text/html")
        else:
            route.fulfill(path=folder / path, content_type=mimetypes.guess_type(path)[0] or "text/plain")

    page.route(f"{origin}/**", serve)
    page.goto(f"{origin}/")


def status(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("relay.status")
    return found


def becomes(page: Page, state: str, reason: str | None = None) -> dict[str, Any]:
    """Wait until the client is in this state for this reason, and return its status of that moment."""
    found: list[dict[str, Any]] = []

    def is_so() -> bool:
        found.append(status(page))
        return (found[-1]["state"], found[-1].get("reason")) == (state, reason)

    until(is_so, f"it is {state} for {reason}", within_s=3 * SOON_MS / 1000)
    return found[-1]


def test_a_page_whose_origin_is_not_allowed_learns_so_and_connects_once_it_is(page: Page, site: Site) -> None:
    with served(WEB) as origin:
        page.goto(f"{origin}/client/index.js")
        page.evaluate(CONNECT, [f"{site.url}/ws", token("alice")])
        assert becomes(page, "offline", "origin_not_allowed")["nextTryAt"] > 0
        site.restart(relay_allowed_origins=origin)
        becomes(page, "live")


def test_the_page_of_a_relay_that_does_not_know_its_own_address_says_so(page: Page, site: Site) -> None:
    """This happens behind a proxy if RELAY_PUBLIC_URL is not set."""
    url = site.url
    site.restart(relay_public_url="https://elsewhere.example.com")
    page.goto(f"{url}/#token={token('alice')}")
    expect(page.locator("#banner")).to_contain_text("RELAY_PUBLIC_URL", timeout=3 * SOON_MS)
    expect(page.locator("#banner")).to_contain_text(url)


@pytest.mark.parametrize("seconds", [0.3, 2, 5])
def test_a_browser_that_was_offline_returns_to_a_websocket(page: Page, site: Site, seconds: float) -> None:
    page.goto(f"{site.url}/client/index.js")
    page.evaluate(CONNECT, ["/ws", token("alice")])
    becomes(page, "live")
    for _ in range(3):
        page.context.set_offline(True)
        site.stop()
        until(lambda: status(page)["state"] != "live", "the connection is lost")
        page.wait_for_timeout(seconds * 1000)  # the time without a network
        site.start()
        page.context.set_offline(False)
        becomes(page, "live")
    assert "polling" not in page.evaluate("statuses.map(({ state }) => state)")


def test_a_browser_without_websocket_polls(page: Page, site: Site) -> None:
    page.add_init_script("delete globalThis.WebSocket;")
    page.goto(f"{site.url}/client/index.js")
    page.evaluate(CONNECT, ["/ws", token("alice")])
    becomes(page, "polling", "no_websocket")
    until(lambda: page.evaluate("list.state") == "ready", "the list is there")
    # Where the relay is not, it says so, also where a browser hides a redirect.
    page.route("**/moved/**", lambda route: route.fulfill(status=302, headers={"location": "/"}))
    for url in ("/live/ws", "/moved/ws"):
        page.evaluate("relay.close()")
        page.evaluate(CONNECT, [url, token("alice")])
        becomes(page, "offline", "not_found")


def test_an_http_relay_under_an_https_page_is_reported_as_mixed_content(page: Page, site: Site) -> None:
    page_of(page, WEB, "https://app.test")
    page.evaluate(CONNECT, ["ws://relay.test/ws", token("alice")])
    becomes(page, "offline", "mixed_content")


@pytest.mark.parametrize("odd", ["#part", "?#"])
def test_a_fragment_in_the_address_is_ignored(page: Page, site: Site, odd: str) -> None:
    page.goto(f"{site.url}/client/index.js")
    page.evaluate(CONNECT, [f"/ws{odd}", token("alice")])
    becomes(page, "live")


@pytest.mark.parametrize("around", [" {} ", "{}\n"])
def test_blanks_around_a_token_are_removed(page: Page, site: Site, around: str) -> None:
    page.goto(f"{site.url}/client/index.js")
    page.evaluate(CONNECT, ["/ws", around.format(token("alice"))])
    becomes(page, "live")


@pytest.mark.parametrize(
    ("around", "reason"), [('"{}"', "unauthenticated"), ("{}/", "unauthenticated"), ("{0}, {0}", "bad_token")]
)
def test_an_unusable_token_is_reported_as_bad_token(page: Page, site: Site, around: str, reason: str) -> None:
    page.goto(f"{site.url}/client/index.js")
    page.evaluate(CONNECT, ["/ws", around.format(token("alice"))])
    becomes(page, "offline", reason)


def test_a_page_with_another_token_for_each_refusal_is_slowed_down(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/client/index.js")
    page.evaluate("""
        async () => {
            const { connect } = await import("/client/index.js");
            window.opened = [];
            const openSocket = (...given) => (opened.push(performance.now()), new WebSocket(...given));
            let serial = 0;
            window.relay = connect({ url: "/ws", token: () => `a.b.${++serial}`, host: { openSocket } });
            relay.onStatus(({ state }) => state === "offline" && relay.renew());
        }
    """)
    until(lambda: len(page.evaluate("opened")) >= 4, "it has been refused four times")
    # Two tokens do not wait. The fourth one waits for a pause of at least 2 s, after a first pause of at least 1 s.
    first, *_, last = page.evaluate("opened.slice(0, 4)")
    assert last - first > 900

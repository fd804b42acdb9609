"""The page of operators: what it does to users and to the relay, for every reader, and behind a proxy."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from accessibility import complaints
from admin_page import admin_token, open_admin, rows
from dashboard import connection, until, write_task
from playwright.sync_api import Page, expect
from support.browser_site import Site
from support.compose import PATHS
from support.relay_fixture import token

from relay.cli.demo import mongod as embedded
from relay.gateway.pages.served import WEB

PAGE_BYTES_MAX = 60_000
NO_WEBSOCKET = "delete globalThis.WebSocket;"
REFUSALS = "the server responded with a status of 4"  # what Chromium writes about a refusal


@pytest.fixture
def site(site: Site) -> Iterator[Site]:
    yield site
    site.console = [line for line in site.console if REFUSALS not in line]


def disconnect(page: Page, user: str) -> None:
    """Disconnect a user with the mouse."""
    rows(page).get_by_role("button", name=f"Disconnect {user}", exact=True).first.click()
    page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()


def test_a_disconnected_user_sees_it_in_all_tabs_and_others_stay(page: Page, site: Site) -> None:
    tabs = [site.open("alice", page=site.another()) for _ in range(2)]
    bob = site.open("bob", page=site.another())
    open_admin(page, site)
    expect(rows(page)).to_have_count(3)
    disconnect(page, "alice")
    expect(page.locator("#result")).to_have_text("alice is disconnected: 2 connections ended.")
    expect(page.locator("#said")).to_have_text("alice is disconnected: 2 connections ended.")
    for tab in tabs:
        expect(tab.locator("#banner p")).to_have_text("An administrator disconnected you.")
    page.mouse.move(1, 1)
    expect(rows(page)).to_have_count(1)
    expect(connection(bob, "live")).to_be_visible()
    tabs[0].get_by_role("button", name="Reconnect").click()
    expect(connection(tabs[0], "live")).to_be_visible()
    expect(connection(tabs[1], "offline")).to_have_text("Disconnected")
    expect(rows(page, "alice")).to_have_count(1)


def test_a_disconnected_user_who_polls_sees_it_too(page: Page, site: Site) -> None:
    alice = site.another()
    alice.add_init_script(NO_WEBSOCKET)
    alice.goto(f"{site.url}/#token={token('alice')}")
    expect(connection(alice, "polling")).to_be_visible()
    open_admin(page, site)
    expect(rows(page, "alice").first.locator("[data-column=transport]")).to_have_text("poll")

    def is_disconnected() -> bool:
        with page.expect_response("**/users/alice") as answer:
            disconnect(page, "alice")
        return bool(answer.value.json()["disconnected"])

    until(is_disconnected, "she is disconnected, though she has no connection between two polls")
    expect(page.locator("#result")).to_contain_text("alice is disconnected")
    expect(alice.locator("#banner p")).to_have_text("An administrator disconnected you.")
    alice.get_by_role("button", name="Reconnect").click()
    expect(connection(alice, "polling")).to_be_visible()


def test_nothing_happens_without_a_yes(page: Page, site: Site) -> None:
    alice = site.open("alice", page=site.another())
    open_admin(page, site)
    button = page.get_by_role("button", name="Disconnect alice", exact=True)
    button.click()
    expect(page.get_by_role("dialog", name="Disconnect alice?")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(button).to_be_focused()
    button.click()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    expect(connection(alice, "live")).to_be_visible()
    expect(page.locator("#result")).to_be_hidden()


def test_the_keyboard_is_enough(page: Page, site: Site) -> None:
    site.open("bob", page=site.another())
    alice = site.open("alice", page=site.another())
    page.goto(f"{site.admin_url}/admin")
    page.keyboard.type(admin_token())
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("alice")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    tab_to(page, "Disconnect alice")
    page.keyboard.press("Enter")
    tab_to(page, "Disconnect")
    page.keyboard.press("Enter")
    expect(alice.locator("#banner p")).to_have_text("An administrator disconnected you.")
    expect(page.locator("#result")).to_contain_text("1 connection ended")
    # The row is gone, and the reader goes on from the heading above it.
    expect(page.locator("#nobody")).to_have_text("alice is not connected.")
    expect(page.locator("#connections-title")).to_be_focused()


# Presses "/" in the moment in which the page is shown, before the browser takes the focus from the hidden sign-in.
AT_ONCE = """() => new MutationObserver(([{ target }]) => {
  if (target.hidden) return;
  window.pressedIn = document.activeElement.id;
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true, cancelable: true }));
}).observe(document.querySelector("#page"), { attributeFilter: ["hidden"] })"""


def test_the_key_of_the_filter_acts_as_soon_as_the_page_is_there(page: Page, site: Site) -> None:
    page.goto(f"{site.admin_url}/admin")
    page.evaluate(AT_ONCE)
    page.keyboard.type(admin_token())
    page.keyboard.press("Enter")
    expect(page.locator("#user")).to_be_focused()
    assert page.evaluate("pressedIn") == "token"


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element with this name has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("(e => e.ariaLabel ?? e.textContent)(document.activeElement)") == name:
            return
    raise AssertionError(f"Tab does not lead to {name}")


def test_the_page_says_what_a_reload_changed_and_why_one_failed(page: Page, site: Site) -> None:
    answers: list[dict[str, Any]] = [
        {"json": {"reloaded": True, "changed": ["RELAY_LOG_LEVEL"], "needRestart": ["RELAY_PORT"]}},
        {"status": 422, "json": {"data": {"message": "RELAY_LOG_LEVEL: must be a level, got 'LOUD'."}}},
    ]
    open_admin(page, site)
    result, button = page.locator("#result"), page.get_by_role("button", name="Reload settings")
    button.click()
    expect(result).to_have_text("The settings are reloaded: nothing has changed.")
    # This relay has no settings of its own that could change, so the other answers are written here.
    page.route("**/admin/reload", lambda route: route.fulfill(**answers.pop(0)))
    button.click()
    expect(result).to_contain_text("In force now: RELAY_LOG_LEVEL.")
    expect(result).to_contain_text("in force only after a restart: RELAY_PORT.")
    button.click()
    expect(result).to_contain_text("The settings are not reloaded. RELAY_LOG_LEVEL: must be a level")
    expect(page.locator("#said")).to_contain_text("The settings are not reloaded.")
    expect(button).to_be_focused()


def test_the_operators_page_has_no_serious_finding_of_axe_and_fits(site: Site, axe: str) -> None:
    widths = (1440, 1024, 390)
    page = site.another(bypass_csp=True, viewport={"width": widths[0], "height": 800})
    found = partial(complaints, page, axe, widths=widths, schemes=("light", "dark"))
    page.goto(f"{site.admin_url}/admin")
    page.locator("#token").fill("x")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    assert found() == []
    open_admin(page, site, f"?task={write_task(site)}")
    expect(page.locator("#nobody")).to_be_visible()
    assert found() == []
    site.open("alice", page=site.another())
    site.open("a user with a name that is long " * 10, page=site.another())
    expect(rows(page)).to_have_count(2)
    table = page.get_by_role("table", name="Connections")
    assert table.get_by_role("row").count() == 3
    assert table.get_by_role("rowheader").count() == 2
    assert found() == []
    disconnect(page, "alice")
    expect(page.locator("#result")).to_be_visible()
    assert found() == []
    page.mouse.move(1, 1)
    expect(rows(page)).to_have_count(1)
    rows(page).get_by_role("button", name="Disconnect").click()
    assert found() == []
    page.keyboard.press("Escape")
    site.stop()
    expect(page.locator("#banner")).to_be_visible()
    assert found() == []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_works_under_a_path_of_a_proxy(page: Page, site: Site, tmp_path: Path) -> None:
    site.open("alice", page=site.another())
    with proxied(site.admin_url, tmp_path) as url:
        for address in (f"{url}/ops/relay/admin", f"{url}/just-the-page/"):
            page.goto(f"{address}?user=alice#token={admin_token()}")
            expect(rows(page, "alice")).to_have_count(1)
            assert page.url.removesuffix("?user=alice").removesuffix("/") == address.removesuffix("/")
            disconnect(page, "alice")  # which the relay refuses to pages of other origins
            expect(page.locator("#result")).to_contain_text("alice is disconnected")
            page.mouse.move(1, 1)
            expect(rows(page)).to_have_count(0)
            site.open("alice", page=site.another())


@contextmanager
def proxied(admin_url: str, folder: Path) -> Iterator[str]:
    """Run nginx that serves the port for operators under /ops/relay/, and the page alone under /just-the-page/."""
    binary = shutil.which("nginx", path=PATHS)
    if binary is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx)")
    port = embedded.free_port()
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; pid {folder}/pid; error_log stderr; events {{}}
        http {{
            access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
            uwsgi_temp_path {folder}; scgi_temp_path {folder};
            server {{
                listen 127.0.0.1:{port};
                proxy_set_header Host $http_host;
                location /ops/relay/ {{ proxy_pass {admin_url}/; }}
                location /just-the-page/ {{ proxy_pass {admin_url}/admin/; }}
            }}
        }}
        """
    )
    command = [binary, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: is_open(port), "nginx listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_the_operators_page_is_small_and_has_no_inline_script_or_style(page: Page, site: Site) -> None:
    files = [file for file in (WEB / "admin").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < PAGE_BYTES_MAX
    site.open("alice", page=site.another())
    open_admin(page, site)
    expect(rows(page)).to_have_count(1)
    assert page.locator("script:not([src]), style, [style], [onclick]").count() == 0

"""The dashboard behind the proxies of the guide, under the path of an application."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dashboard import connection, detail, push, row, write_task
from playwright.sync_api import Page, Request, expect
from support.certificates import Authority
from support.guide_proxies import PATHS, caddy, free_port, nginx, running_proxy
from support.relay_fixture import token


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def proxied(request: pytest.FixtureRequest, site: Any, tmp_path: Path) -> Iterator[str]:
    """The address of the page behind this proxy, which serves TLS and is set up as in the guide."""
    made: Callable[..., list[str]] = request.param
    if shutil.which(made.__name__, path=PATHS) is None:
        pytest.skip(f"{made.__name__} is not installed (Debian: apt-get install {made.__name__})")
    port = free_port()
    url = f"https://127.0.0.1:{port}/live"
    relay = site.url.removeprefix("http://")
    site.restart(relay_public_url=url, relay_trusted_proxies=("127.0.0.1",))
    command = made(tmp_path, port, relay, Authority(tmp_path).issue("proxy"))
    with running_proxy(command, port, tmp_path):
        yield url


@pytest.mark.parametrize("end", ["/", ""], ids=["with a slash", "without a slash"])
def test_the_page_works_under_a_path(proxied: str, site: Any, end: str) -> None:
    task_id = write_task(site, title="Under a path")
    page = site.another(ignore_https_errors=True)
    missing = missing_on(page)
    # When it is opened under the path,
    page.goto(f"{proxied}{end}#token={token('alice')}")
    # then it is live, and what it shows has its styles and icons,
    expect(connection(page, "live")).to_be_visible()
    assert page.url == f"{proxied}/"
    expect(row(page, task_id)).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.top')).display") != "block"
    # a task opens, is reloaded and continues,
    row(page, task_id).click()
    expect(detail(page, task_id)).to_be_visible()
    assert page.url == f"{proxied}/#/tasks/{task_id}"
    page.reload()
    push(site, "Under a path", "log")
    expect(page.locator("[data-event-index]")).to_have_count(1)
    # and nothing was asked for elsewhere.
    assert missing == []


def test_the_page_polls_under_a_path_where_websocket_is_blocked(proxied: str, site: Any) -> None:
    task_id = write_task(site)
    page = site.another(ignore_https_errors=True)
    page.add_init_script("delete window.WebSocket")
    page.goto(f"{proxied}/#token={token('alice')}")
    expect(connection(page, "polling")).to_be_visible()
    expect(row(page, task_id)).to_be_visible()


def missing_on(page: Page) -> list[str]:
    """The addresses that the page asks for in vain, as they occur.

    A request that a reload ends before its answer (`net::ERR_ABORTED`) was not made in vain: the page repeats it.
    """
    missing: list[str] = []

    def note_failure(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":
            missing.append(request.url)

    page.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
    page.on("requestfailed", note_failure)
    return missing

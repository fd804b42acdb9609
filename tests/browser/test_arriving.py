"""How the dashboard arrives over a long line: requests, bytes, and the time to the first row."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from dashboard import connection, row, until, write_task
from playwright.sync_api import Page, expect
from support.long_line import Line, long_line
from support.relay_fixture import token

from relay.gateway.pages import served
from relay.gateway.pages.dashboard_page import FOLDERS, DashboardPage
from relay.gateway.pages.served import WEB
from relay.gateway.pages.web_files import WebFiles

ONE_WAY_S = 0.075
REQUESTS_MAX = 25
BYTES_MAX = 150_000  # of a first visit, without the tasks

# Notes when the first row was painted, in ms since the navigation began.
NOTE_FIRST_ROW = """
    new MutationObserver((_, observer) => {
        if (!document.querySelector("li[data-task-id]")) return;
        observer.disconnect();
        requestAnimationFrame(() => { window.firstRowMs = performance.now(); });
    }).observe(document, { childList: true, subtree: true });
"""


def report(line: Line, page: Page, what: str) -> None:
    """Wait until the page is live, and print what it took."""
    until(lambda: page.evaluate("window.firstRowMs"), "a row is there")
    expect(connection(page, "live")).to_be_visible()
    first = page.evaluate("window.firstRowMs")
    print(
        f"\n  {what}: {len(line.requests)} requests on {line.connections} connections, {line.received:,} bytes "
        f"received and {line.sent:,} sent, first row after {first:.0f} ms",
        end="",
    )


@pytest.mark.parametrize(
    "opening_s",
    [0.0, 2 * ONE_WAY_S],
    ids=["a line of 150 ms round trip", "and as much to open a connection"],
)
def test_the_page_arrives_in_few_requests(site: Any, opening_s: float) -> None:
    page = site.another(is_new=True)
    page.add_init_script(NOTE_FIRST_ROW)
    write_task(site)
    with long_line(site.url, one_way_s=ONE_WAY_S, opening_s=opening_s) as line:
        site.restart(relay_allowed_origins=line.url)
        page.goto(f"{line.url}/#token={token('alice')}")
        report(line, page, "first visit")
        assert len(line.requests) <= REQUESTS_MAX
        assert len(line.requests) == len(set(line.requests))
        assert line.received < BYTES_MAX
        line.reset()
        page.reload()
        report(line, page, "reload")
        # The page, which has not changed, and the connection. Nothing is loaded that was loaded before.
        paths = {request.partition("?")[0] for request in line.requests}
        assert paths <= {"/", "/ws/dashboard", "/config"}
        assert line.received < BYTES_MAX / 20
        page.close()


def test_a_long_list_arrives_over_a_long_line(site: Any) -> None:
    for number in range(300):
        write_task(site, title=f"Task {number}", status="pr_opened" if number % 3 else "merged")
    page = site.another(is_new=True)
    page.add_init_script(NOTE_FIRST_ROW)
    with long_line(site.url, one_way_s=ONE_WAY_S) as line:
        site.restart(relay_allowed_origins=line.url)
        page.goto(f"{line.url}/#token={token('alice')}")
        report(line, page, "300 tasks, first visit")
        for _ in range(3):
            line.reset()
            page.reload()
            report(line, page, "300 tasks, reload")
        page.close()


def test_a_page_whose_modules_cannot_be_joined_works_all_the_same(site: Any, tmp_path: Path) -> None:
    # Given a module with a statement that cannot be joined,
    for folder in FOLDERS:
        shutil.copytree(WEB / folder, tmp_path / folder)
    with (tmp_path / "view" / "time.js").open("a") as module:
        module.write("export default 1;\n")
    files = WebFiles(tmp_path, FOLDERS)
    task_id = write_task(site)
    with patch.multiple(served, FILES=files, DASHBOARD=DashboardPage(files)):
        site.restart()
        page = site.page
        loaded: list[str] = []
        page.on("request", lambda request: loaded.append(request.url))
        # when somebody opens the page,
        site.open()
        # then it loads its modules one by one.
        expect(row(page, task_id)).to_be_visible()
        assert f"{site.url}/view/time.js" in loaded
        assert not [url for url in loaded if "/assets/" in url]
    site.restart()


def test_an_edited_module_is_in_the_page_after_a_reload(site: Any, tmp_path: Path) -> None:
    for folder in FOLDERS:
        shutil.copytree(WEB / folder, tmp_path / folder)
    files = WebFiles(tmp_path, FOLDERS)
    with patch.multiple(served, FILES=files, DASHBOARD=DashboardPage(files)):
        site.restart()
        page = site.open()
        with (tmp_path / "dashboard" / "app.js").open("a") as module:
            module.write("document.title = 'Edited';\n")
        with (tmp_path / "dashboard" / "style.css").open("a") as sheet:
            sheet.write(".top { order: 7 }\n")
        page.reload()
        expect(page).to_have_title("Edited")
        expect(page.locator(".top")).to_have_css("order", "7")
    site.restart()

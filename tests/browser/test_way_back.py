"""A page that the browser sets aside: it was left and the reader comes back, or its tab is frozen for a while."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from chromium import BROWSERS
from dashboard import connection, entry, open_row, push, row, try_now, until, write_task
from office import working_office
from playwright.sync_api import Page, expect
from support.browser_contexts import Contexts

OWN = "--disable-back-forward-cache"  # which Playwright passes by itself


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    """The contexts of a Chromium that keeps pages for the way back, as everybody's does."""
    return BROWSERS.start(OWN)


def connections(site: Any) -> int:
    """The number of WebSockets that the relay has."""
    with urllib.request.urlopen(f"{site.admin_url}/metrics", timeout=30) as answer:
        (count,) = re.findall(r"^relay_connections(?:\{.*\})? (\d+)", answer.read().decode(), re.MULTILINE)
    return int(count)


def test_a_page_comes_back_from_the_cache_of_the_browser_and_connects_at_once(page: Page, site: Any) -> None:
    # Given a page with an open task,
    task_id = write_task(site, events=[{"type": "analysis_started"}])
    site.open()
    open_row(page, task_id)
    expect(entry(page, 0)).to_be_visible()
    page.evaluate("""() => {
        window.isTheSame = true;
        addEventListener("pageshow", ({ persisted }) => { window.persisted = persisted; window.back = Date.now(); });
        const chip = document.querySelector("#connection");
        new MutationObserver(() => {
            if (window.back && chip.dataset.connection === "live") window.liveAfterMs ??= Date.now() - window.back;
        }).observe(chip, { attributes: true });
    }""")
    for time in range(3):
        # when the reader leaves it, while something is written,
        page.goto("about:blank")
        until(lambda: connections(site) == 0, "the connection is closed")
        push(site, "A task", f"thing_{time}")
        later = write_task(site, title=f"Later {time}")
        # and comes back,
        page.go_back(wait_until="commit")  # no `load` follows, because the page is loaded
        # then the same page is there, and is live again with what was written.
        expect(connection(page, "live")).to_be_visible()
        assert page.evaluate("[window.isTheSame, window.persisted]") == [True, True]
        expect(row(page, later)).to_be_visible()
        expect(entry(page, time + 1)).to_be_visible()
        assert connections(site) == 1
    print(f"\n  back from the cache, live after {page.evaluate('window.liveAfterMs')} ms", end="")


def test_a_frozen_tab_holds_no_connection_and_is_live_when_it_goes_on(page: Page, site: Any) -> None:
    task_id = write_task(site)
    site.open()
    expect(row(page, task_id)).to_be_visible()
    # Given a tab that the browser freezes (a headless one freezes only what is left, so the page is told so),
    page.evaluate("() => void document.dispatchEvent(new Event('freeze'))")
    until(lambda: connections(site) == 0, "the connection is closed")
    # when something is written and the tab goes on,
    later = write_task(site, title="Later")
    page.evaluate("() => void document.dispatchEvent(new Event('resume'))")
    # then it is live, and shows it.
    expect(connection(page, "live")).to_be_visible()
    expect(row(page, later)).to_be_visible()


def test_a_page_that_comes_back_shows_nothing_of_a_user_who_has_signed_out(site: Any, tmp_path: Path) -> None:
    task_id = write_task(site, title="Salaries")
    with working_office(site, tmp_path) as office:
        # Given a page that the browser keeps while its user signs out of the application,
        office.sign_in("alice")
        office.page.goto(f"{office.url}#/tasks/{task_id}")
        expect(office.page.locator(".task-title")).to_have_text("Salaries")
        office.page.evaluate("""() => addEventListener("pageshow", ({ persisted }) => {
            window.back = [persisted, document.body.textContent.includes("Salaries")];
        })""")
        office.page.goto("about:blank")
        office.app.sign_out()
        # when somebody else comes back to it, and the application does not answer,
        office.app.mode = "unavailable"
        office.app.users.add("alice")
        office.page.go_back(wait_until="commit")
        # then nothing of hers is there, from the first moment on.
        expect(connection(office.page, "offline")).to_be_visible()
        assert office.page.evaluate("window.back") == [True, False]
        assert row(office.page, task_id).count() == 0
        # When she is there again, her page goes on.
        office.app.mode = "text"
        try_now(office.page)
        expect(office.page.locator(".task-title")).to_have_text("Salaries")

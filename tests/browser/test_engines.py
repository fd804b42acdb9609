"""A day at the dashboard in short, in the browsers of three engines: open, live change, task, search, sign-in renewed,
offline and back. It finds everything by the attributes that the page has for tests."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from dashboard import push, set_status, until, write_task
from engines import ENGINES, Tab
from pymongo import MongoClient
from support.relay_fixture import SOON_S, relay_in_thread, settings_for, token

pytestmark = pytest.mark.timeout(300)  # a browser takes a while to start on a busy machine


class Place:
    """A relay that can be stopped and started again at the same address, and its tasks."""

    def __init__(self, mongo_url: str, mongo: MongoClient[dict[str, Any]], database: str) -> None:
        self.tasks = mongo[database]["tasks"]
        self._settings = settings_for(mongo_url, database)
        self._running = ExitStack()
        self.url = ""
        self.start()

    def start(self) -> None:
        port = urlsplit(self.url).port or 0
        settings = self._settings.model_copy(update={"relay_port": port})
        self.url = self._running.enter_context(relay_in_thread(settings)).url

    def stop(self) -> None:
        self._running.close()


@pytest.fixture
def place(mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str) -> Iterator[Place]:
    place = Place(mongo_url, mongo, database_name)
    try:
        yield place
    finally:
        place.stop()


@pytest.fixture(params=ENGINES)
def tab(request: pytest.FixtureRequest, tmp_path: Path, place: Place) -> Iterator[Tab]:
    with ENGINES[request.param](tmp_path) as tab:
        yield tab


def shown(tab: Tab, selector: str, *, within_s: float = SOON_S) -> None:
    """Wait until the page shows an element."""
    body = (
        f"return [...document.querySelectorAll({json.dumps(selector)})].some((one) => one.checkVisibility())"
    )
    until(lambda: tab.run(body), f"{selector} is shown", within_s=within_s)


def gone(tab: Tab, selector: str) -> None:
    """Wait until the page shows no such element."""
    body = f"return [...document.querySelectorAll({json.dumps(selector)})].every((one) => !one.checkVisibility())"
    until(lambda: tab.run(body), f"{selector} is gone")


def test_the_main_path(tab: Tab, place: Place) -> None:
    # Given a task, and errors of the page that are kept,
    task_id = write_task(place, title="Export invoices", events=[{"type": "analysis_started"}])
    row = f'li[data-task-id="{task_id}"]'
    # when somebody opens the page, the task is there.
    tab.goto(f"{place.url}/#token={token('alice')}")
    tab.run("window.trouble = []; addEventListener('error', ({ message }) => trouble.push(message));")
    shown(tab, '[data-connection="live"]')
    shown(tab, row)
    assert "token" not in tab.run("return location.href")

    # A change arrives by itself, and so does a new task.
    set_status(place, "Export invoices", "failed")
    shown(tab, f'[data-section="failed"] {row}')
    other_id = write_task(place, title="Rotate the certificates")
    other = f'li[data-task-id="{other_id}"]'
    shown(tab, other)

    # The task opens with its events, and follows them.
    tab.click(f"{row} a")
    shown(tab, f'article[data-task-id="{task_id}"]')
    shown(tab, '[data-event-index="0"]')
    push(place, "Export invoices", "commit_pushed")
    shown(tab, '[data-event-index="1"]')

    # The search finds one of the two.
    tab.type('input[type="search"]', "rotate")
    gone(tab, row)
    shown(tab, other)
    tab.run(
        """const field = document.querySelector('input[type="search"]');
        field.value = ""; field.dispatchEvent(new Event("input", { bubbles: true }));"""
    )
    shown(tab, row)

    # The sign-in is renewed, and the page goes on beyond the end of the token before.
    ends = time.time() + 10
    for ttl_s in (10, 600):
        tab.run(f"location.hash = '#token={token('alice', ttl_s=ttl_s)}'")
        until(lambda: "token" not in tab.run("return location.href"), "the page takes the token")
    until(lambda: time.time() > ends + 1, "the token before has ended")
    set_status(place, "Export invoices", "merged")
    shown(tab, f'[data-section="completed"] {row}')
    shown(tab, '[data-connection="live"]')
    shown(tab, f'article[data-task-id="{task_id}"]')

    # The network goes and comes back, and what was written meanwhile is there.
    place.stop()
    gone(tab, '[data-connection="live"]')
    shown(tab, row)
    push(place, "Export invoices", "review_passed")
    later = write_task(place, title="Written meanwhile")
    place.start()
    shown(tab, '[data-connection="live"]', within_s=3 * SOON_S)
    shown(tab, f'li[data-task-id="{later}"]')
    shown(tab, '[data-event-index="2"]')
    assert tab.run("return trouble") == []


def test_a_page_that_was_left_is_live_again_on_the_way_back(tab: Tab, place: Place) -> None:
    task_id = write_task(place)
    tab.goto(f"{place.url}/#token={token('alice')}")
    shown(tab, f'li[data-task-id="{task_id}"]')
    tab.run("window.isTheSame = true")
    tab.goto(f"{place.url}/healthz")
    later = write_task(place, title="Later")
    tab.back()
    until(lambda: tab.run("return document.querySelector('[data-connection]') !== null"), "the page is back")
    shown(tab, '[data-connection="live"]')
    shown(tab, f'li[data-task-id="{later}"]')
    kept = "was kept by the browser" if tab.run("return window.isTheSame === true") else "was loaded again"
    print(f"\n  {type(tab).__name__}: the page {kept}", end="")

"""Connections that break and return: what the page shows, and that it misses nothing."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from urllib.request import urlopen

from bson import ObjectId
from dashboard import SOON_MS, connection, entry, open_row, push, row, set_status, until, write_task
from page_clocks import end_timers, hold_timers, stop_clock, stop_time_of_day
from playwright.sync_api import Page, WebSocketRoute, expect
from support.relay_fixture import COMMAND, SECRET, SOON_S, environment, token

from relay.cli.demo import mongod as embedded


def test_the_page_continues_from_its_position_after_a_lost_connection(page: Page, site: Any) -> None:
    sockets: list[WebSocketRoute] = []
    joins: list[dict[str, Any]] = []

    def through(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        sockets.append(socket)

        def forward(frame: str | bytes) -> None:
            joins.extend(m["data"]["tasks"][0] for m in [json.loads(frame)] if m["type"] == "task:join")
            server.send(frame)

        socket.on_message(forward)

    page.route_web_socket("**/ws**", through)
    task_id = write_task(site, title="Resumed", events=[{"type": f"step_{n}"} for n in range(3)])
    site.open()
    row(page, task_id).click()
    expect(entry(page, 2)).to_be_visible()
    sockets[-1].close(code=1001, reason="")
    push(site, "Resumed", "while_away")
    expect(page.locator("[data-event-index]")).to_have_count(4)
    expect(connection(page, "live")).to_be_visible()
    assert len(sockets) == 2
    assert [join.get("since") for join in joins] == [None, 3]


def test_the_page_catches_up_after_the_relay_was_away(page: Page, site: Any) -> None:
    task_id = write_task(site, title="Away", events=[{"type": "before"}])
    site.open()
    row(page, task_id).click()
    expect(entry(page, 0)).to_be_visible()
    site.stop()
    expect(connection(page, "live")).to_have_count(0)
    push(site, "Away", "meanwhile")
    other = write_task(site, title="Written meanwhile")
    site.start()
    expect(row(page, other)).to_be_visible(timeout=3 * SOON_MS)
    expect(entry(page, 1)).to_contain_text("Meanwhile")
    expect(connection(page, "live")).to_be_visible()


def test_the_banner_says_that_the_page_is_not_connected(page: Page, site: Any) -> None:
    sockets: list[WebSocketRoute] = []

    def once(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if len(sockets) == 1:
            socket.connect_to_server()
        else:
            socket.close(code=1011, reason="internal")

    page.route_web_socket("**/ws**", once)
    task_id = write_task(site)
    site.open()
    expect(row(page, task_id)).to_be_visible()
    sockets[0].close(code=1011, reason="internal")
    expect(page.locator("#banner")).to_contain_text("Not connected")
    expect(page.locator("#banner")).to_contain_text("You see what was known last.")
    expect(row(page, task_id)).to_be_visible()


# A test cannot hide a page, so these scripts do what a browser does to a page that is hidden or shown.
HIDE = """() => {
  Object.defineProperty(document, "hidden", {value: true, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""
SHOW = """() => { delete document.hidden; document.dispatchEvent(new Event("visibilitychange")); }"""


class RelayProcess:
    """`relay serve` in its own process, which a test can kill."""

    def __init__(self, mongo_url: str, database: str) -> None:
        port = embedded.free_port()
        self._environment = environment(
            RELAY_MONGO_URL=mongo_url,
            RELAY_MONGO_DATABASE=database,
            RELAY_JWT_SECRET=SECRET,
            RELAY_PORT=str(port),
        )
        self.url = f"http://127.0.0.1:{port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, "serve"], env=self._environment, stderr=subprocess.DEVNULL
        )

    def is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/readyz", timeout=SOON_S) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(SOON_S)


@contextmanager
def writing(site: Any, task_id: str) -> Iterator[list[int]]:
    """Write events until the block ends. Yields the list of the numbers that were written."""
    written: list[int] = []
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.01):
            event = {"type": "log", "message": f"line {len(written)}"}
            site.tasks.update_one({"_id": ObjectId(task_id)}, {"$push": {"events": event}})
            written.append(len(written))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        over.set()
        thread.join()


def test_the_page_equals_the_database_after_the_relay_was_killed(
    page: Page, site: Any, mongo_url: str, database_name: str
) -> None:
    relay = RelayProcess(mongo_url, database_name)
    task_id = write_task(site, title="Written on and on")
    site.url = relay.url
    relay.start()
    try:
        until(relay.is_ready, "the relay is ready")
        site.open()
        open_row(page, task_id)
        page.evaluate("window.sameDocument = true")
        with writing(site, task_id) as written:
            for kill in range(2):
                until(lambda kill=kill: len(written) > 40 * (kill + 1), "events are written")
                relay.kill()
                other = write_task(site, title=f"Written while it was away {kill}")
                relay.start()
                expect(row(page, other)).to_be_visible(timeout=3 * SOON_MS)
        expect(page.locator("[data-event-index]")).to_have_count(len(written))
        assert page.locator(".entry-text").all_text_contents() == [f"line {n}" for n in written]
        assert page.evaluate("window.sameDocument")
    finally:
        relay.kill()


def test_the_page_names_a_lost_network_and_reconnects_by_itself(page: Page, site: Any) -> None:
    task_id = write_task(site, title="Before")
    site.open()
    expect(row(page, task_id)).to_be_visible()
    site.stop()
    page.context.set_offline(True)
    expect(connection(page, "offline")).to_have_text("Offline")
    expect(page.locator("#banner")).to_contain_text("This device has no network")
    expect(row(page, task_id)).to_be_visible()
    site.start()
    set_status(site, "Before", "failed")
    page.context.set_offline(False)
    expect(row(page, task_id, "failed")).to_be_visible()
    expect(page.locator("#banner")).to_be_hidden()


def test_rows_that_changed_during_an_interruption_are_highlighted_for_some_seconds(
    page: Page, site: Any
) -> None:
    changed, same = write_task(site, title="Changed"), write_task(site, title="The same")
    site.open()
    expect(row(page, changed)).to_be_visible()
    # The page marks rows for three seconds after its return, and each for six; none of this ends yet.
    stop_clock(page)
    stop_time_of_day(page)
    site.stop()
    expect(connection(page, "live")).to_have_count(0)
    set_status(site, "Changed", "dispatched")
    site.start()
    expect(row(page, changed)).to_have_class(re.compile("marked"))
    expect(row(page, same)).not_to_have_class(re.compile("marked"))
    stop_time_of_day(page, ahead_ms=7000)
    expect(row(page, changed)).not_to_have_class(re.compile("marked"))


def test_the_page_says_that_the_relay_is_stale(page: Page, site: Any) -> None:
    def relay_that_lost_the_database(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def forward(frame: str | bytes) -> None:
            socket.send(frame)
            if json.loads(frame)["type"] == "dashboard:state":
                socket.send('{"type": "stream:status", "data": {"state": "stale", "lagMs": 20000}}')

        server.on_message(forward)

    page.route_web_socket("**/ws**", relay_that_lost_the_database)
    task_id = write_task(site)
    page.goto(f"{site.url}/#token={token('alice')}")
    expect(connection(page, "stale")).to_have_text("Stale")
    expect(page.locator("#banner")).to_contain_text("behind the database")
    expect(row(page, task_id)).to_be_visible()


def test_the_connection_dialog_shows_delay_transport_and_user(page: Page, site: Any) -> None:
    write_task(site, title="Measured")
    site.open()
    expect(page.locator(".row")).to_have_count(1)
    page.locator("#connection").click()
    about = page.get_by_role("dialog", name="Connection")

    def measured() -> bool:
        push(site, "Measured", "one")
        return re.search(r"Database to page\s*\d+ ms", about.inner_text()) is not None

    until(measured, "a delay is shown")
    expect(about).to_contain_text(re.compile(r"Last message\s*(\d+ seconds? ago|now)"))
    expect(about).to_contain_text("WebSocket")
    expect(about).to_contain_text(re.compile(r"Reconnects\s*0"))
    expect(about).to_contain_text("alice")
    page.keyboard.press("Escape")
    expect(about).to_be_hidden()


def test_changes_are_announced_at_most_every_five_seconds(page: Page, site: Any) -> None:
    write_task(site, title="Spoken of", status="created")
    site.open()
    expect(page.locator(".row")).to_have_count(1)
    page.evaluate(
        """() => { window.spoken = []; new MutationObserver(() => spoken.push([
          performance.now(), document.querySelector("#said").textContent,
        ])).observe(document.querySelector("#said"), {childList: true}) }"""
    )
    for status in ("analyzing", "dispatched", "pr_opened", "failed"):
        set_status(site, "Spoken of", status)
    expect(page.locator("#said")).to_have_text("“Spoken of” failed.")
    times = [at for at, _ in page.evaluate("spoken")]
    assert all(later - at > 4900 for at, later in pairwise(times)), times


def test_of_many_changes_in_five_seconds_only_the_number_is_announced(page: Page, site: Any) -> None:
    # Given a page that has just spoken,
    site.open()
    expect(page.locator("#notice")).to_contain_text("No tasks yet")
    stop_clock(page)
    hold_timers(page, 5000)
    write_task(site, title="First", status="created")
    expect(page.locator("#said")).to_contain_text("First")
    # when more tasks come in the next five seconds,
    for number in range(4):
        write_task(site, title=f"Task {number}")
    expect(page.locator(".row")).to_have_count(5)
    end_timers(page)
    # then it says only how many.
    expect(page.locator("#said")).to_have_text("4 tasks changed.")


def test_the_title_counts_tasks_that_began_to_need_the_reader_while_hidden(page: Page, site: Any) -> None:
    write_task(site, title="Waits already", status="pr_opened")
    write_task(site, title="Comes to wait")
    write_task(site, title="Goes on")
    site.open()
    expect(page.locator(".row")).to_have_count(3)
    page.evaluate(HIDE)
    set_status(site, "Comes to wait", "clarification_needed")
    set_status(site, "Goes on", "dispatched")
    set_status(site, "Waits already", "in_review")
    expect(page).to_have_title("(1) Tasks")
    page.evaluate(SHOW)
    expect(page).to_have_title("Tasks")

"""The React part, tested through examples/react: real React in a real Chromium, from another origin."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dashboard import SOON_MS, connection, entry, push, row, set_status, until, write_task
from origin import served
from playwright.sync_api import Locator, Page, WebSocket, WebSocketRoute, expect
from pymongo import MongoClient
from support.browser_contexts import Contexts
from support.browser_site import NETWORK_ERRORS, Site
from support.doc_snippets import GUIDES, README, ROOT, blocks
from support.node_packages import install_client, node_packages
from support.relay_fixture import settings_for, token

EXAMPLE = ROOT / "examples" / "react"
HOST = "http://127.0.0.1:8080"  # as in the README
REACT_ADVERTISEMENT = "Download the React DevTools"  # the advertisement of its development build


@dataclass(frozen=True)
class App:
    """The example, built for a relay at `relay_url`. `origin` serves the files in `folder`."""

    folder: Path
    origin: str
    relay_url: str


class Conversation:
    """The messages that the sockets of a page sent and received, by type."""

    def __init__(self, page: Page) -> None:
        self.sockets: list[WebSocket] = []
        self.sent: list[dict[str, Any]] = []
        self.received: list[dict[str, Any]] = []
        page.on("websocket", self._follow)

    def _follow(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        socket.on("framesent", lambda frame: self.sent.append(json.loads(frame)))
        socket.on("framereceived", lambda frame: self.received.append(json.loads(frame)))

    def count(self) -> Counter[str]:
        return Counter(frame["type"] for frame in self.sent if frame["type"] != "ping")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def build(root: Path, out: Path, relay_url: str, mode: str) -> None:
    vite = node_packages(EXAMPLE) / "vite" / "bin" / "vite.js"
    options = ("--config", str(EXAMPLE / "vite.config.js"), "--base", "./", "--outDir", str(out))
    done = subprocess.run(
        ["node", str(vite), "build", str(root), "--mode", mode, *options],
        cwd=EXAMPLE,
        env=os.environ | {"NODE_ENV": mode, "VITE_RELAY_URL": f"{relay_url}/ws"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in (done.stdout + done.stderr).lower()


def install(folder: Path) -> None:
    """A folder with React and with the package that `npm pack` makes."""
    packages = node_packages(EXAMPLE)
    folder.mkdir()
    for name in ("react", "react-dom"):
        (folder / name).symlink_to(packages / name)
    assert "`npm pack ./relay/web`" in README.read_text("utf-8")
    install_client(folder)


# React's development build, because StrictMode mounts twice there, and React warns.
@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    out = tmp_path_factory.mktemp("app")
    relay_url = f"http://127.0.0.1:{free_port()}"
    build(EXAMPLE, out, relay_url, "development")
    with served(out) as origin:
        yield App(out, origin, relay_url)


@pytest.fixture
def site(
    contexts: Contexts, mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str, app: App
) -> Iterator[Site]:
    """The example in a page. Fails the test if React warns or a page raises an error."""
    settings = settings_for(mongo_url, database_name, relay_allowed_origins=app.origin)
    site = Site(settings, mongo[database_name]["tasks"], contexts)
    site.url = app.relay_url
    site.start()
    try:
        yield site
    finally:
        site.close()
    assert [
        line
        for line in site.console
        if not any(part in line for part in (*NETWORK_ERRORS, REACT_ADVERTISEMENT))
    ] == []


def open_app(page: Page, app: App) -> Conversation:
    conversation = Conversation(page)
    page.goto(f"{app.origin}/#token={token('alice')}")
    expect(status(page)).to_have_attribute("data-connection", "live")
    return conversation


def status(page: Page) -> Locator:
    return page.locator(".relay-connection")


def banner(page: Page) -> Locator:
    return page.locator(".relay-banner")


def choose(page: Page, task_id: str) -> None:
    row(page, task_id).get_by_role("button").click()


def test_the_list_follows_what_is_written(page: Page, site: Site, app: App) -> None:
    open_app(page, app)
    assert page.url == f"{app.origin}/"
    kept, deleted = write_task(site, title="Fresh"), write_task(site, title="Gone")
    expect(row(page, kept)).to_contain_text("Fresh")
    expect(row(page, deleted)).to_be_visible()
    set_status(site, "Fresh", "pr_opened")
    expect(row(page, kept).locator('[data-status="pr_opened"]')).to_have_text("pr opened")
    site.tasks.delete_one({"title": "Gone"})
    expect(row(page, deleted)).to_have_count(0)


def test_two_components_in_strict_mode_join_a_task_once_and_leave_it_once(
    page: Page, site: Site, app: App
) -> None:
    task_id = write_task(site, title="Shared", events=[{"type": "created"}])
    conversation = open_app(page, app)
    choose(page, task_id)
    expect(entry(page, 0)).to_contain_text("created")
    push(site, "Shared", "analyzing", "dispatched")
    # When an event arrives, the timeline and the heading show it, each by its own subscription.
    expect(entry(page, 2)).to_contain_text("about dispatched")
    expect(page.locator("article .count")).to_have_text("3 events")
    assert conversation.count() == {"dashboard:join": 1, "task:join": 1}
    page.get_by_role("button", name="Close").click()
    until_sent(page, conversation, "task:leave")
    assert conversation.count() == {"dashboard:join": 1, "task:join": 1, "task:leave": 1}
    assert len(conversation.sockets) == 1


def test_a_component_that_mounts_again_at_once_finds_its_task_unchanged(
    page: Page, site: Site, app: App
) -> None:
    one, other = write_task(site, title="One", events=[{"type": "a"}]), write_task(site, title="Other")
    conversation = open_app(page, app)
    choose(page, one)
    expect(entry(page, 0)).to_be_visible()
    # When another task is shown briefly,
    page.evaluate(
        """async ([one, other]) => {
            const row = (id) => document.querySelector(`li[data-task-id="${id}"] button`);
            row(other).click();
            await Promise.resolve();
            row(one).click();
        }""",
        [one, other],
    )
    expect(page.locator("article h2")).to_have_text("One")
    # then that one is left, and the first task is neither left nor joined again.
    until_sent(page, conversation, "task:leave")
    assert conversation.count() == {"dashboard:join": 1, "task:join": 2, "task:leave": 1}
    left = [frame["data"]["taskId"] for frame in conversation.sent if frame["type"] == "task:leave"]
    assert left == [other]
    push(site, "One", "b")
    expect(entry(page, 1)).to_be_visible()


def test_a_component_shows_exactly_the_events_of_a_burst(page: Page, site: Site, app: App) -> None:
    task_id = write_task(site, title="Burst")
    open_app(page, app)
    choose(page, task_id)
    for n in range(100):
        push(site, "Burst", f"step_{n}")
    expect(page.locator("[data-event-index]")).to_have_count(100)
    shown = page.locator("[data-event-index] strong").all_text_contents()
    assert shown == [f"step_{n}" for n in range(100)]


def test_the_components_explain_that_the_relay_is_away_and_lose_nothing(
    page: Page, site: Site, app: App
) -> None:
    task_id = write_task(site, title="Away", events=[{"type": "before"}])
    conversation = open_app(page, app)
    choose(page, task_id)
    expect(entry(page, 0)).to_be_visible()
    expect(banner(page)).to_have_count(0)
    site.stop()
    expect(connection(page, "offline").first).to_be_visible()
    expect(banner(page)).to_contain_text("Not live since")
    expect(banner(page)).to_contain_text("It reconnects by itself.")
    expect(status(page).get_by_role("status")).to_have_text("Offline (the relay cannot be reached)")
    # The last state stays readable.
    expect(entry(page, 0)).to_be_visible()
    push(site, "Away", "meanwhile")
    other = write_task(site, title="Written meanwhile")
    site.start()
    expect(row(page, other)).to_be_visible(timeout=3 * SOON_MS)
    expect(entry(page, 1)).to_contain_text("about meanwhile")
    expect(page.locator("[data-event-index]")).to_have_count(2)
    expect(banner(page)).to_have_count(0)
    # Playwright reports sent frames a little later than the page changes.
    until(lambda: seen(page, conversation.sent, "task:join", 2), "the task is joined again")
    again = [frame["data"]["tasks"] for frame in conversation.sent if frame["type"] == "task:join"]
    assert [joined[0].get("since") for joined in again] == [None, 1]


def test_the_countdown_to_the_next_attempt_can_be_skipped(page: Page, site: Site, app: App) -> None:
    sockets: list[WebSocketRoute] = []

    def refuse_the_first(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if len(sockets) > 1:
            socket.connect_to_server()
        else:
            socket.close(code=4429, reason="rate_limited:60000")

    page.route_web_socket("**/ws**", refuse_the_first)
    page.goto(f"{app.origin}/#token={token('alice')}")
    countdown = status(page).locator(".relay-connection-countdown")
    expect(countdown).to_have_text(re.compile(r"Next try in (60|5\d) s"))
    # The countdown goes second by second, or faster on a busy machine.
    shown = [seconds_of(countdown)]
    until(lambda: shown[-1] <= shown[0] - 2 or shown.append(seconds_of(countdown)), "two seconds less")
    assert shown == sorted(shown, reverse=True)
    expect(status(page).get_by_role("status")).to_have_text("Offline (there were too many requests)")
    retry = status(page).get_by_role("button", name="Retry now")
    retry.press("Enter")
    expect(status(page)).to_have_attribute("data-connection", "live")
    expect(retry).to_have_count(0)


def test_the_banner_distinguishes_a_lost_network_from_a_relay_that_is_away(
    page: Page, site: Site, app: App
) -> None:
    open_app(page, app)
    page.context.set_offline(True)
    site.stop()
    expect(banner(page)).to_contain_text("This device has no network; it reconnects when there is one.")
    site.start()
    page.context.set_offline(False)
    expect(status(page)).to_have_attribute("data-connection", "live")
    expect(banner(page)).to_have_count(0)


def test_the_provider_renews_its_token_before_it_expires(page: Page, site: Site, app: App) -> None:
    first, fresh = (
        token("alice", ttl_s=29),
        token("alice", ttl_s=900),
    )  # the relay warns 30 s before a token expires
    page.add_init_script(
        f"const tokens = ['{first}']; Storage.prototype.getItem = () => tokens.pop() ?? '{fresh}';"
    )
    conversation = open_app(page, app)
    until_sent(page, conversation, "auth")
    assert [frame["data"] for frame in conversation.sent if frame["type"] == "auth"] == [{"token": fresh}]
    until(lambda: seen(page, conversation.received, "auth:ok"), "the relay takes it")
    expect(status(page)).to_have_attribute("data-connection", "live")
    assert len(conversation.sockets) == 1


def test_another_user_in_the_same_tab_sees_nothing_of_the_first(page: Page, site: Site, app: App) -> None:
    of_alice, of_bob = write_task(site, title="Hers"), write_task(site, title="His", createdBy="bob")
    conversation = open_app(page, app)
    expect(row(page, of_alice)).to_be_visible()
    page.goto(f"{app.origin}/#token={token('bob')}")
    expect(row(page, of_bob)).to_be_visible()
    expect(row(page, of_alice)).to_have_count(0)
    until(
        lambda: len(conversation.sockets) == 2 and closed(page, conversation.sockets[0]), "the first closes"
    )
    assert not conversation.sockets[1].is_closed()


def test_the_components_say_that_they_wait_for_a_sign_in(page: Page, site: Site, app: App) -> None:
    page.goto(app.origin)
    expect(status(page).get_by_role("status")).to_have_text("Signed out (nobody is signed in)")
    expect(banner(page)).to_contain_text("It waits for a sign-in.")
    page.evaluate("(given) => sessionStorage.setItem('relay.token', given)", token("alice"))
    banner(page).get_by_role("button", name="Retry now").click()
    expect(status(page)).to_have_attribute("data-connection", "live")


def test_the_lines_of_the_readme_and_the_guide_work_in_a_production_build(
    page: Page, site: Site, app: App, tmp_path: Path
) -> None:
    (program,) = blocks(README, "jsx")
    (tmp_path / "index.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><main></main>'
        '<script type="module" src="/main.jsx"></script>'
    )
    (tmp_path / "reviews.tsx").write_text(blocks(GUIDES / "react.md", "tsx")[0])
    (tmp_path / "main.jsx").write_text(
        f"""
        const fetchToken = async () => {token("alice")!r};
        {program.replace(HOST, site.url)}
        import {{ Reviews }} from "./reviews.tsx";
        createRoot(document.querySelector("main")).render(
          <RelayProvider url="{site.url}/ws" user="alice" token={{fetchToken}}><Reviews /></RelayProvider>,
        );
        """
    )
    install(tmp_path / "node_modules")
    build(tmp_path, app.folder / "readme", site.url, "production")
    write_task(site, title="Of the README", events=[{"type": "created"}])
    write_task(site, title="To review", status="pr_opened")
    page.goto(f"{app.origin}/readme/")
    expect(page.locator("#root")).to_contain_text("Of the README 1 events")
    push(site, "Of the README", "dispatched")
    expect(page.locator("#root")).to_contain_text("Of the README 2 events")
    expect(page.locator("main p")).to_have_text("To review 0 events")
    push(site, "Of the README", "pr_opened")
    expect(page.locator("main output")).to_have_text(re.compile("to review: ."))


def test_the_lock_of_the_example_names_no_registry() -> None:
    locked = json.loads((EXAMPLE / "package-lock.json").read_text("utf-8"))["packages"]
    resolved = {path: entry["resolved"] for path, entry in locked.items() if "resolved" in entry}
    assert resolved == {"node_modules/task-relay-client": "../../relay/web"}


def until_sent(page: Page, conversation: Conversation, kind: str) -> None:
    until(lambda: seen(page, conversation.sent, kind), f"the page sends {kind}")


def seen(page: Page, frames: list[dict[str, Any]], kind: str, times: int = 1) -> bool:
    page.evaluate("0")  # Playwright processes events of frames only during a call
    return sum(frame["type"] == kind for frame in frames) >= times


def seconds_of(countdown: Locator) -> int:
    return int(re.sub(r"\D", "", countdown.inner_text()))


def closed(page: Page, socket: WebSocket) -> bool:
    page.evaluate("0")
    return socket.is_closed()

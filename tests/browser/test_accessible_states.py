"""Every state of the page, visited by axe: at three widths, light in English and dark in German."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from accessibility import complaints
from dashboard import connection, detail, row, write_task
from playwright.sync_api import Page, WebSocketRoute, expect
from support.relay_fixture import token

LINKS = {
    "issueUrl": "https://example.com/1",
    "issueNumber": 1,
    "prUrl": "https://example.com/2",
    "prNumber": 2,
}
TRACEBACK = (
    "Traceback:\n" + "\n".join(f'  File "/srv/{n}.py", line {n}' for n in range(30)) + "\nhttps://ci.example"
)
KINDS = ("log", "log", "log", "tool_called", "comment", "commit_pushed", "analysis_started", "constructor")


WIDTHS = (1440, 1024, 390)


class Visitor:
    """Opens states of the page one after the other, and notes what axe finds in them."""

    def __init__(self, site: Any, axe: str, scheme: str) -> None:
        self._axe = axe
        self._context = site.another(
            color_scheme=scheme,
            locale="en-GB" if scheme == "light" else "de-DE",
            viewport={"width": WIDTHS[0], "height": 844},
            reduced_motion="reduce",
            bypass_csp=True,
        ).context
        self.found: dict[str, Any] = {}

    @contextmanager
    def page(self, prepare: Callable[[Page], None] = lambda _: None) -> Iterator[Page]:
        page = self._context.new_page()
        prepare(page)
        yield page
        page.close()

    def look(self, page: Page, state: str) -> None:
        if problems := complaints(page, self._axe, widths=WIDTHS):
            self.found[state] = problems


def written(site: Any) -> dict[str, str]:
    """Write a task of each stage, and return the ids by their names."""
    for status in ("created", "analyzing", "dispatched", "pr_opened", "merged", "constructor"):
        write_task(site, title=status, status=status, **LINKS)
    shared = write_task(
        site, title="Bob's", status="pr_opened", createdBy="bob", members=["alice"], reviewers=["bob", "erin"]
    )
    events = [{"type": KINDS[n % len(KINDS)], "message": f"line {n}", "more": n} for n in range(300)]
    return {
        "shared": shared,
        "questions": write_task(
            site,
            status="clarification_needed",
            questions=["Which?", "See https://example.com"],
            events=[{"type": "questions_asked", "questions": ["Which?"], "secret": "ghp_" + "a" * 36}],
            **LINKS,
        ),
        "error": write_task(
            site, status="failed", error=TRACEBACK, events=[{"type": "failed", "error": TRACEBACK}]
        ),
        "long timeline": write_task(site, title="long " * 200, status="analyzing", events=events),
        "no events": write_task(site, title="مرحبا بالعالم 🚀", status="dispatched"),
    }


@pytest.mark.timeout(600)  # axe takes half a second for each state and width, and several on a busy machine
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_any_state(site: Any, axe: str, scheme: str) -> None:
    visitor = Visitor(site, axe, scheme)
    site.restart(relay_help_url="mailto:help@example.com")
    # Nobody is signed in; somebody is who sees nothing.
    with visitor.page() as page:
        page.goto(site.url)
        expect(connection(page, "offline")).to_be_visible()
        visitor.look(page, "signed out")
        site.open("nobody", page=page)
        expect(page.locator("#notice .ask-help")).to_be_visible()
        visitor.look(page, "empty, with help")
    ids = written(site)
    with visitor.page() as page:
        site.open(page=page)
        expect(row(page, ids["questions"])).to_be_visible()
        visitor.look(page, "list")
        for name, task_id in ids.items():
            page.goto(f"{site.url}/#/tasks/{task_id}")
            expect(detail(page, task_id)).to_be_visible()
            if name not in ("no events", "shared"):
                expect(page.locator("[data-event-index]").first).to_be_attached()
            visitor.look(page, name)
        page.goto(f"{site.url}/#/tasks/{ids['error']}")
        page.locator(".callout.error .block-fold").click()
        page.locator(".copy-link").focus()
        visitor.look(page, "error unfolded")
        page.goto(f"{site.url}/#/tasks/{ids['questions']}")
        page.locator("[data-event-index] .entry-more").first.click()
        visitor.look(page, "event unfolded")
        page.goto(f"{site.url}/#/tasks/nowhere")
        expect(page.locator('.detail-empty[data-state="forbidden"] .task-help')).to_be_visible()
        visitor.look(page, "unknown task, with help")
        page.goto(f"{site.url}/#/tasks/{ids['shared']}")
        expect(detail(page, ids["shared"])).to_be_visible()
        site.tasks.update_one({"title": "Bob's"}, {"$set": {"members": [], "reviewers": []}})
        expect(page.locator('.detail-empty[data-state="revoked"] .task-help')).to_be_visible()
        visitor.look(page, "revoked task, with help")
        page.goto(f"{site.url}/#/tasks/{ids['no events']}")
        expect(detail(page, ids["no events"])).to_be_visible()
        site.tasks.delete_one({"status": "dispatched", "events": [], "title": {"$regex": "🚀"}})
        expect(page.locator('.detail-empty[data-state="deleted"]')).to_be_visible()
        visitor.look(page, "deleted task")
        # Dialogs, and a search that finds nothing.
        page.goto(f"{site.url}/#/")
        page.locator("#connection").click()
        expect(page.locator("#about-connection")).to_be_visible()
        visitor.look(page, "connection")
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        expect(page.locator("dialog[open]")).to_be_visible()
        visitor.look(page, "keys")
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        visitor.look(page, "search help")
        page.keyboard.type("nothing like it")
        expect(page.locator("#notice")).to_be_visible()
        visitor.look(page, "nothing found")
        page.keyboard.press("Escape")
        site.stop()
        expect(page.locator("#banner")).to_be_visible()
        visitor.look(page, "offline")
    site.start()

    def stale(page: Page) -> None:
        def through(socket: WebSocketRoute) -> None:
            server = socket.connect_to_server()

            def pass_on(message: str | bytes) -> None:
                socket.send(message)
                if '"dashboard:state"' in str(message):
                    socket.send('{"type": "stream:status", "data": {"state": "stale", "lagMs": 20000}}')

            server.on_message(pass_on)

        page.route_web_socket("**/ws**", through)

    def without_websocket(page: Page) -> None:
        page.add_init_script("delete globalThis.WebSocket")

    def silent(page: Page) -> None:
        page.route_web_socket("**/ws**", lambda socket: None)

    def full(page: Page) -> None:
        page.route_web_socket("**/ws**", lambda socket: socket.close(code=4430, reason="at_capacity"))

    for state, says, prepare in (
        ("connecting", "Loading…|Wird geladen", silent),
        ("offline", "full|voll", full),
    ):
        with visitor.page(prepare) as page:
            page.goto(f"{site.url}/#token={token('alice')}")
            expect(connection(page, state)).to_be_visible()
            expect(page.locator("#notice")).to_contain_text(re.compile(says))
            visitor.look(page, "loading" if state == "connecting" else "too many connections")

    for state, prepare in (("stale", stale), ("polling", without_websocket)):
        with visitor.page(prepare) as page:
            page.goto(f"{site.url}/#token={token('alice')}")
            expect(connection(page, state)).to_be_visible()
            expect(row(page, ids["questions"])).to_be_visible()
            visitor.look(page, state)
    site.restart(feature_websocket_enabled=False)
    with visitor.page() as page:
        page.goto(f"{site.url}/#token={token('alice')}")
        expect(connection(page, "refused")).to_be_visible()
        expect(page.locator("#notice .ask-help")).to_be_visible()
        visitor.look(page, "switched off, with help")
    assert visitor.found == {}

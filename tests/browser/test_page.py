"""The dashboard in a real browser: what a person sees while documents change."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect
from running import token

SOON_MS = 10_000  # a bound for what takes milliseconds, on a noisy machine


@pytest.fixture
def page(site: Any) -> Page:
    page: Page = site.page
    page.set_viewport_size({"width": 1360, "height": 850})
    page.set_default_timeout(SOON_MS)
    expect.set_options(timeout=SOON_MS)
    return page


def write_task(site: Any, **fields: Any) -> str:
    document = {"title": "A task", "createdBy": "alice", "status": "analyzing", "events": []} | fields
    return str(site.tasks.insert_one(document).inserted_id)


def push(site: Any, title: str, *types: str) -> None:
    events = [{"type": each, "message": f"about {each}"} for each in types]
    site.tasks.update_one({"title": title}, {"$push": {"events": {"$each": events}}})


def connection(page: Page, state: str) -> Locator:
    return page.locator(f'[data-connection="{state}"]')


def row(page: Page, task_id: str, section: str | None = None) -> Locator:
    within = f'[data-section="{section}"] ' if section else ""
    return page.locator(f'{within}li[data-task-id="{task_id}"]')


def detail(page: Page, task_id: str) -> Locator:
    return page.locator(f'article[data-task-id="{task_id}"]')


def entry(page: Page, index: int) -> Locator:
    return page.locator(f'[data-event-index="{index}"]')


def test_signs_in_with_the_fragment_and_takes_it_out_of_the_address(page: Page, site: Any) -> None:
    site.open()
    assert page.url == f"{site.url}/"
    page.reload()
    expect(connection(page, "live")).to_be_visible()


def test_says_how_to_sign_in_when_nobody_is(page: Page, site: Any) -> None:
    page.goto(site.url)
    expect(connection(page, "refused")).to_have_text("Signed out")
    expect(page.locator("#notice")).to_contain_text("#token=")


def test_gives_up_on_a_token_that_is_refused(page: Page, site: Any) -> None:
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto(f"{site.url}/#token=not.a.token")
    expect(connection(page, "refused")).to_be_visible()
    page.wait_for_timeout(1000)  # longer than the first backoff may take
    assert len(sockets) == 1


def test_signs_in_anew_with_another_link(page: Page, site: Any) -> None:
    task_id = write_task(site)
    page.goto(f"{site.url}/#token=not.a.token")
    expect(connection(page, "refused")).to_be_visible()
    page.goto(f"{site.url}/#token={token('alice')}")
    expect(row(page, task_id)).to_be_visible()


def test_shows_a_task_the_moment_it_is_written(page: Page, site: Any) -> None:
    site.open()
    expect(page.locator("#notice")).to_contain_text("No tasks yet")
    task_id = write_task(site, title="Fresh")
    expect(row(page, task_id, "in-progress")).to_contain_text("Fresh")
    expect(row(page, task_id).locator('[data-status="analyzing"]')).to_have_text("Analyzing")


def test_moves_a_row_to_the_section_of_its_status(page: Page, site: Any) -> None:
    task_id = write_task(site)
    site.open()
    row(page, task_id, "in-progress").evaluate("row => { row.sameElement = true }")
    for status, section in (
        ("clarification_needed", "needs-you"),
        ("dispatched", "in-progress"),
        ("pr_opened", "needs-you"),
        ("failed", "failed"),
        ("merged", "completed"),
    ):
        site.tasks.update_one({}, {"$set": {"status": status}})
        expect(row(page, task_id, section).locator(f'[data-status="{status}"]')).to_be_visible()
        expect(page.locator(f'[data-section="{section}"] .count')).to_have_text("1")
    assert row(page, task_id).evaluate("row => row.sameElement")


def test_says_review_ready_at_an_open_pull_request(page: Page, site: Any) -> None:
    task_id = write_task(site, status="dispatched")
    site.open()
    site.tasks.update_one({}, {"$set": {"prUrl": "https://example.com/pull/7", "prNumber": 7}})
    expect(row(page, task_id, "needs-you")).to_contain_text("Review ready")
    expect(row(page, task_id).get_by_role("link", name="Pull request 7")).to_be_visible()


def test_drops_the_row_of_a_deleted_task(page: Page, site: Any) -> None:
    kept, deleted = write_task(site), write_task(site)
    site.open()
    expect(row(page, deleted)).to_be_visible()
    site.tasks.delete_one({"_id": site.tasks.find_one(sort=[("_id", -1)])["_id"]})
    expect(row(page, deleted)).to_have_count(0)
    expect(row(page, kept)).to_be_visible()


def test_shows_nobody_the_tasks_of_others(page: Page, site: Any) -> None:
    other = write_task(site, createdBy="bob")
    own = write_task(site)
    site.open()
    expect(row(page, own)).to_be_visible()
    expect(row(page, other)).to_have_count(0)
    page.goto(f"{site.url}/#/tasks/{other}")
    expect(page.locator("#detail")).to_contain_text("not visible to you")


def test_opens_a_task_and_appends_its_events(page: Page, site: Any) -> None:
    task_id = write_task(site, title="Open me", events=[{"type": "analysis_started"}])
    site.open()
    row(page, task_id).click()
    expect(entry(page, 0)).to_contain_text("Analysis started")
    push(site, "Open me", "commit_pushed", "pr_opened")
    expect(entry(page, 1)).to_contain_text("about commit_pushed")
    expect(entry(page, 2)).to_contain_text("PR opened")


def test_shows_the_timeline_as_it_is_after_a_rewrite(page: Page, site: Any) -> None:
    task_id = write_task(site, title="Rewritten", events=[{"type": f"old_{n}"} for n in range(5)])
    site.open()
    row(page, task_id).click()
    expect(entry(page, 4)).to_be_visible()
    site.tasks.update_one({}, {"$set": {"events": [{"type": "new"}, None, "plain"]}})
    expect(page.locator("[data-event-index]")).to_have_count(3)
    expect(entry(page, 2)).to_contain_text("plain")
    push(site, "Rewritten", "later")
    expect(entry(page, 3)).to_contain_text("Later")


def test_follows_the_end_and_otherwise_says_what_is_new(page: Page, site: Any) -> None:
    task_id = write_task(site, title="Long", events=[{"type": f"step_{n}"} for n in range(60)])
    site.open()
    row(page, task_id).click()
    expect(entry(page, 59)).to_be_in_viewport()
    push(site, "Long", "followed")
    expect(entry(page, 60)).to_be_in_viewport()
    page.locator(".timeline").hover()
    page.mouse.wheel(0, -500)
    expect(entry(page, 60)).not_to_be_in_viewport()
    push(site, "Long", "missed", "missed")
    expect(page.locator(".newer")).to_have_text("2 new events")
    expect(entry(page, 62)).not_to_be_in_viewport()
    page.locator(".newer").click()
    expect(entry(page, 62)).to_be_in_viewport()
    expect(page.locator(".newer")).to_be_hidden()


def test_names_the_open_task_in_the_address(page: Page, site: Any) -> None:
    task_id = write_task(site)
    site.open()
    row(page, task_id).click()
    expect(page).to_have_url(f"{site.url}/#/tasks/{task_id}")
    page.reload()
    expect(detail(page, task_id)).to_be_visible()
    page.keyboard.press("Escape")
    expect(detail(page, task_id)).to_be_hidden()
    page.go_back()
    expect(detail(page, task_id)).to_be_visible()


def test_asks_the_questions_and_tells_the_error(page: Page, site: Any) -> None:
    task_id = write_task(site, status="clarification_needed", questions=["Which one?", "Since when?"])
    site.open()
    row(page, task_id).click()
    expect(page.locator(".callout.questions li")).to_have_text(["Which one?", "Since when?"])
    site.tasks.update_one({}, {"$set": {"status": "failed", "error": "the push was rejected"}})
    expect(page.locator(".callout.error")).to_contain_text("the push was rejected")
    expect(page.locator(".callout.questions")).to_be_hidden()
    expect(page.locator(".steps [data-state=failed]")).to_have_count(1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tasks: tasks.delete_many({}), "has been deleted"),
        (lambda tasks: tasks.update_many({}, {"$set": {"createdBy": "bob"}}), "no longer visible"),
    ],
)
def test_says_why_an_open_task_went_away(page: Page, site: Any, change: Any, said: str) -> None:
    task_id = write_task(site, events=[{"type": "secret"}])
    site.open()
    row(page, task_id).click()
    expect(entry(page, 0)).to_be_visible()
    change(site.tasks)
    expect(page.locator("#detail")).to_contain_text(said)
    expect(entry(page, 0)).to_be_hidden()


def test_treats_what_documents_say_as_text(page: Page, site: Any) -> None:
    markup = "<img src=x onerror='document.title=1'>"
    links = {
        "prUrl": "javascript:alert(1)",
        "prNumber": 1,
        "issueUrl": "https://example.com/2",
        "issueNumber": 2,
    }
    task_id = write_task(site, title=markup, events=[{"type": markup, "message": markup}], **links)
    site.open()
    expect(row(page, task_id)).to_contain_text(markup)
    expect(row(page, task_id).locator("a.ref")).to_have_count(1)
    expect(row(page, task_id).locator("a.ref")).to_have_attribute("rel", "noopener noreferrer")
    row(page, task_id).click()
    expect(entry(page, 0)).to_contain_text(markup)
    assert page.locator("#list img, #detail img").count() == 0


def test_filters_by_text(page: Page, site: Any) -> None:
    wanted = write_task(site, title="Dark theme")
    write_task(site, title="Rate limits")
    site.open()
    expect(page.locator(".row")).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("dark")
    expect(page.locator(".row")).to_have_count(1)
    expect(row(page, wanted)).to_be_visible()
    page.keyboard.type(" matter")
    page.get_by_role("button", name="Clear the filter").click()
    expect(page.locator(".row")).to_have_count(2)


def test_resumes_where_it_was_when_the_connection_is_lost(page: Page, site: Any) -> None:
    sockets: list[WebSocketRoute] = []
    joins: list[dict[str, Any]] = []

    def through(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        sockets.append(socket)

        def forward(frame: str | bytes) -> None:
            joins.extend(m["data"]["tasks"][0] for m in [json.loads(frame)] if m["type"] == "task:join")
            server.send(frame)

        socket.on_message(forward)

    page.route_web_socket(re.compile("/ws$"), through)
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


def test_catches_up_after_the_relay_was_away(page: Page, site: Any) -> None:
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


def test_says_so_while_it_is_not_connected(page: Page, site: Any) -> None:
    sockets: list[WebSocketRoute] = []

    def once(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if len(sockets) == 1:
            socket.connect_to_server()
        else:
            socket.close(code=1011, reason="internal")

    page.route_web_socket(re.compile("/ws$"), once)
    task_id = write_task(site)
    site.open()
    expect(row(page, task_id)).to_be_visible()
    sockets[0].close(code=1011, reason="internal")
    expect(page.locator("#banner")).to_contain_text("Not connected")
    expect(row(page, task_id)).to_be_visible()


def test_holds_exactly_the_events_of_the_document_in_a_burst(page: Page, site: Any) -> None:
    task_id = write_task(site, title="Burst")
    site.open()
    row(page, task_id).click()
    expect(detail(page, task_id)).to_be_visible()
    for n in range(200):
        push(site, "Burst", f"step {n}")
    expect(page.locator("[data-event-index]")).to_have_count(200)
    texts = page.locator(".entry-text").all_text_contents()
    assert texts == [f"about step {n}" for n in range(200)]


def test_fits_a_phone(page: Page, site: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    task_id = write_task(site, title="A rather long title " * 15, createdBy="alice")
    site.open()
    row(page, task_id).click()
    expect(detail(page, task_id)).to_be_visible()
    expect(page.locator("#list")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("link", name="Close the task").click()
    expect(row(page, task_id)).to_be_visible()

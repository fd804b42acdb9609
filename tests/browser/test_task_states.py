"""What the open task asks and what failed in it; and why a task cannot be shown, each time with a way on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dashboard import detail, open_row, row, write_task
from page_clocks import COPIED_MS, hold_timers
from playwright.sync_api import Page, WebSocketRoute, expect
from support.relay_fixture import token

LINES = [f'  File "/srv/step_{n}.py", line {n}\n    run(step)' for n in range(10)]
TRACEBACK = "\n".join(["Traceback:", *LINES, "ValueError: see https://ci.example/runs/4711."])


def test_questions_are_numbered_and_keep_their_lines_and_links(page: Page, site: Any) -> None:
    questions = ["Up or down?", "Which one?\n  - gross\n  - net", "As in https://docs.example/prices?"]
    task_id = write_task(site, status="clarification_needed", questions=questions)
    site.open()
    open_row(page, task_id)
    items = page.locator(".callout.questions li")
    expect(items).to_have_count(3)
    for item in items.all():
        assert item.evaluate("(e) => [getComputedStyle(e).display, getComputedStyle(e).listStyleType]") == [
            "list-item",
            "decimal",
        ]
        assert item.evaluate("(e) => getComputedStyle(e).userSelect") != "none"
    assert items.nth(1).inner_text() == questions[1]
    expect(items.nth(2).locator("a")).to_have_attribute("href", "https://docs.example/prices")
    expect(items.nth(2).locator("a")).to_have_attribute("rel", "noopener noreferrer")
    # A selection stays while the task changes.
    items.nth(0).evaluate("(e) => getSelection().selectAllChildren(e)")
    site.tasks.update_one({}, {"$push": {"questions": "And when?"}})
    expect(items).to_have_count(4)
    assert page.evaluate("String(getSelection())") == "Up or down?"
    expect(page.locator(".callout.questions h3")).to_have_text("4 questions wait for an answer")


def test_an_error_keeps_its_lines_is_folded_and_is_copied(page: Page, site: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    task_id = write_task(site, status="failed", error=TRACEBACK)
    site.open()
    open_row(page, task_id)
    error = page.locator(".callout.error")
    text = error.locator("pre")
    assert text.inner_text() == TRACEBACK
    assert text.evaluate("(e) => getComputedStyle(e).fontFamily").endswith("monospace")
    expect(error.get_by_role("link")).to_have_attribute("href", "https://ci.example/runs/4711")
    folded = text.bounding_box()
    error.get_by_role("button", name="Show all 22 lines").click()
    opened = text.bounding_box()
    assert folded is not None
    assert opened is not None
    assert opened["height"] > folded["height"]
    # What the reader has opened stays open while the task changes.
    site.tasks.update_one({}, {"$set": {"title": "Renamed"}})
    expect(page.locator(".task-title")).to_have_text("Renamed")
    expect(error.get_by_role("button", name="Show 12 lines")).to_be_visible()
    error.hover()
    hold_timers(page, COPIED_MS)
    error.get_by_role("button", name="Copy").click()
    expect(error.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == TRACEBACK


@pytest.mark.parametrize(("width", "height"), [(640, 360), (390, 844), (320, 256)])
def test_in_a_small_window_nothing_of_an_error_is_cut(site: Any, width: int, height: int) -> None:
    """640 by 360 is a usual window at 200 % zoom, 320 by 256 one at 400 %."""
    page = site.another(viewport={"width": width, "height": height})
    task_id = write_task(site, status="failed", error=TRACEBACK, events=[{"type": "failed"}])
    site.open(page=page)
    page.goto(f"{site.url}/#/tasks/{task_id}")
    page.get_by_role("button", name="Show all 22 lines").click()
    end = page.locator(".callout.error a")
    end.scroll_into_view_if_needed()
    expect(end).to_be_in_viewport(ratio=1)
    expect(page.locator(".callout.error pre")).to_have_js_property("scrollLeft", 0)
    event = page.locator('[data-event-index="0"]')
    event.scroll_into_view_if_needed()
    expect(event).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_who_may_not_see_a_task_is_led_to_whom_to_ask(page: Page, site: Any) -> None:
    site.restart(relay_help_url="https://help.example/rights")
    site.open()
    page.goto(f"{site.url}/#/tasks/nowhere")
    expect(page.locator(".task-help")).to_have_attribute("href", "https://help.example/rights")
    expect(page.locator(".task-help")).to_be_visible()


def test_an_unknown_task_leaves_a_way_on_and_opens_by_itself_once_it_may_be_seen(
    page: Page, site: Any
) -> None:
    task_id = write_task(site, title="Bob's", createdBy="bob")
    site.open()
    page.goto(f"{site.url}/#/tasks/{task_id}")
    empty = page.locator(".detail-empty")
    expect(empty).to_have_attribute("data-state", "forbidden")
    expect(empty).to_contain_text("There is no such task, or it is not visible to you.")
    expect(page.get_by_text("Bob's")).to_have_count(0)
    expect(empty.get_by_role("link", name="Back to the list")).to_be_visible()
    expect(empty.get_by_role("button", name="Try again")).to_be_visible()
    site.tasks.update_one({}, {"$set": {"members": ["alice"]}})
    expect(detail(page, task_id).locator(".task-title")).to_have_text("Bob's")
    page.goto(f"{site.url}/#/tasks/%E0%A4")  # the beginning of a link
    expect(empty).to_have_attribute("data-state", "forbidden")
    expect(empty).to_be_visible()


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda tasks: tasks.delete_many({}), "deleted"),
        (lambda tasks: tasks.update_many({}, {"$set": {"createdBy": "bob"}}), "revoked"),
    ],
)
def test_a_task_that_is_gone_leaves_a_way_back_and_nothing_of_itself(
    page: Page, site: Any, change: Any, state: str
) -> None:
    task_id = write_task(site, title="Secret", status="failed", error="Hush", createdBy="alice")
    site.open()
    row(page, task_id).click()
    expect(page.locator(".callout.error")).to_contain_text("Hush")
    change(site.tasks)
    empty = page.locator(".detail-empty")
    expect(empty).to_have_attribute("data-state", state)
    expect(empty.get_by_role("button", name="Try again")).to_be_hidden()
    html = page.locator("#detail").inner_html()
    assert not any(word in html for word in ("Secret", "Hush", task_id))
    empty.get_by_role("link", name="Back to the list").click()
    expect(empty).to_be_hidden()


def test_where_too_many_tasks_are_open_the_page_says_so_and_tries_again_when_asked(site: Any) -> None:
    page, task_id, refusing = site.another(locale="de-AT"), write_task(site), [True]

    def refuse(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def asked(message: str | bytes) -> None:
            request = json.loads(message)
            if request["type"] != "task:join" or not refusing:
                return server.send(message)
            data = {
                "code": "too_many_tasks",
                "message": "Too many.",
                "taskId": request["data"]["tasks"][0]["taskId"],
            }
            socket.send(json.dumps({"type": "error", "data": data, "replyTo": request["id"]}))

        socket.on_message(asked)

    page.route_web_socket("**/ws**", refuse)
    site.open(page=page)
    page.goto(f"{site.url}/#/tasks/{task_id}")
    empty = page.locator(".detail-empty")
    expect(empty).to_have_attribute("data-state", "too_many_tasks")
    expect(empty).to_contain_text("Es sind zu viele Aufgaben geöffnet.")
    refusing.clear()
    empty.get_by_role("button", name="Erneut versuchen").click()
    expect(detail(page, task_id)).to_be_visible()


def test_a_task_that_loads_shows_nothing_for_a_moment(page: Page, site: Any) -> None:
    page.route_web_socket("**/ws**", lambda _: None)  # opens, and answers nothing
    page.goto(f"{site.url}/#token={token('alice')}")
    page.goto(f"{site.url}/#/tasks/any")
    expect(page.locator(".detail-empty")).to_have_attribute("data-state", "loading")
    expect(page.locator(".detail-empty")).to_have_class("detail-empty late")
    expect(page.locator(".detail-empty .ways-on")).to_be_hidden()

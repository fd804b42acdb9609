"""The head of the open task: what it says of the task, its one button, and what is copied from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dashboard import detail, open_row, row, set_status, until, write_task
from page_clocks import COPIED_MS, hold_timers
from playwright.sync_api import Page, WebSocketRoute, expect

ISSUE = "https://tracker.example/issues/12"
PULL = "https://git.example/pull/9"
TASK = "https://tracker.example/t/{taskId}"


def with_links(site: Any, tmp_path: Path, **templates: str) -> None:
    """Let the relay read a mapping with these links."""
    mapping = tmp_path / "mapping.toml"
    mapping.write_text("[links]\n" + "".join(f'{name} = "{link}"\n' for name, link in templates.items()))
    site.restart(relay_mapping=str(mapping))


def action(page: Page) -> Any:
    return page.locator("[data-action]")


@pytest.mark.parametrize(
    ("fields", "name", "text", "address"),
    [
        ({"status": "pr_opened", "prUrl": PULL, "issueUrl": ISSUE}, "review", "Review pull request", PULL),
        ({"status": "clarification_needed", "issueUrl": ISSUE}, "answer", "Answer", ISSUE),
        ({"status": "failed", "error": "It broke."}, "failure", "See the failure", None),
    ],
)
def test_the_button_of_a_task_does_what_its_stage_asks_for(
    page: Page, site: Any, fields: dict[str, Any], name: str, text: str, address: str | None
) -> None:
    task_id = write_task(site, **fields)
    site.open()
    open_row(page, task_id)
    expect(action(page)).to_have_count(1)
    expect(action(page)).to_have_attribute("data-action", name)
    expect(action(page)).to_contain_text(text)
    if address is None:
        action(page).click()
        expect(page.locator(".callout.error pre")).to_be_focused()
    else:
        expect(action(page)).to_have_attribute("href", address)
        expect(action(page)).to_have_attribute("target", "_blank")
        expect(action(page)).to_have_attribute("rel", "noopener noreferrer")


def test_the_links_of_the_deployment_lead_to_where_a_task_is_answered_and_retried(
    page: Page, site: Any, tmp_path: Path
) -> None:
    templates = {
        "task": TASK,
        "answer": f"{TASK}/answer?by={{creator}}",
        "retry": "https://ci.example/{prNumber}",
    }
    with_links(site, tmp_path, **templates)
    task_id = write_task(site, status="clarification_needed", issueUrl=ISSUE, createdBy="alice")
    site.open()
    open_row(page, task_id)
    own = f"https://tracker.example/t/{task_id}"
    expect(action(page)).to_have_attribute("href", f"{own}/answer?by=alice")
    # A template without a value for one of its fields gives no link.
    set_status(site, "A task", "failed")
    expect(action(page)).to_have_attribute("data-action", "failure")
    site.tasks.update_one({}, {"$set": {"prNumber": 7}})
    expect(action(page)).to_have_attribute("href", "https://ci.example/7")
    set_status(site, "A task", "dispatched")
    site.tasks.update_one({}, {"$unset": {"prNumber": 1}})
    expect(action(page)).to_have_attribute("data-action", "task")
    expect(action(page)).to_have_attribute("href", own)


def test_no_button_leads_to_an_address_that_is_none_of_the_web(page: Page, site: Any) -> None:
    task_id = write_task(site, status="pr_opened", prUrl="javascript:document.title=1", prNumber=1)
    site.open()
    open_row(page, task_id)
    expect(page.locator(".task-facts .ref-pull-request")).to_have_text("#1")
    expect(action(page)).to_have_count(0)
    site.tasks.update_one({}, {"$set": {"prUrl": "https://bank.example@evil.example/"}})
    set_status(site, "A task", "clarification_needed")
    expect(detail(page, task_id).locator('.badge[data-stage="questions"]')).to_be_visible()
    expect(page.locator("article a[target]")).to_have_count(0)


def test_the_link_and_the_id_of_a_task_are_copied(page: Page, site: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    task_id = write_task(site)
    site.open()
    page.goto(f"{site.url}/?lang=en#/tasks/{task_id}")
    expect(detail(page, task_id)).to_be_visible()
    page.locator(".copy-id").click()
    expect(page.locator("#said")).to_have_text("The id of the task is copied.")
    assert page.evaluate("navigator.clipboard.readText()") == task_id
    expect(page.locator(".copy-id bdi")).to_have_text(f"{task_id[:4]}…{task_id[-4:]}")
    page.locator(".copy-link").click()
    expect(page.locator("#said")).to_have_text("The link to the task is copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == f"{site.url}/#/tasks/{task_id}"
    page.goto(link)
    expect(detail(page, task_id)).to_be_visible()


def test_a_page_that_is_not_secure_copies_as_well(page: Page, site: Any) -> None:
    page.add_init_script("delete Navigator.prototype.clipboard")
    task_id = write_task(site)
    site.open()
    open_row(page, task_id)
    hold_timers(page, COPIED_MS)
    page.locator(".copy-id").click()
    expect(page.locator(".copy-id")).to_have_class("copy-id copied")
    expect(page.locator(".copy-id")).to_be_focused()
    page.locator("#search").press("Control+v")
    expect(page.locator("#search")).to_have_value(task_id)


def test_the_head_says_whom_the_task_waits_for_and_since_when(page: Page, site: Any) -> None:
    now = datetime.now(UTC)
    task_id = write_task(
        site,
        status="pr_opened",
        createdBy="alice",
        reviewers=["alice", "erin"],
        createdAt=now - timedelta(days=3),
        updatedAt=now,
        events=[
            {"type": "pr_opened", "at": now - timedelta(hours=2)},
            {"type": "note", "at": now},
        ],
    )
    site.open()
    open_row(page, task_id)
    facts = page.locator(".task-facts")
    expect(facts.locator(".task-wait")).to_have_text("waits 2 h for you and erin")
    expect(row(page, task_id).locator(".age")).to_have_text("2 h")  # of the events, for its row too
    expect(facts.locator(".task-by")).to_have_text("by alice")
    expect(facts.locator(".task-created")).to_have_text("created 3 days ago")
    expect(facts.locator(".task-changed")).to_contain_text("seconds ago")
    before = facts.locator(".task-changed").text_content()
    expect(facts.locator(".task-changed")).not_to_have_text(before or "")  # it ticks


@pytest.mark.parametrize("title", ["w" * 900, "many words " * 90, "مرحبا بالعالم " * 60, "🚀🧪" * 200])
@pytest.mark.parametrize("width", [390, 1440])
def test_a_title_is_whole_however_long(site: Any, title: str, width: int) -> None:
    page = site.another(viewport={"width": width, "height": 844}, has_touch=width == 390)
    task_id = write_task(
        site, title=title, status="failed", error="It broke.", createdBy="c" * 200, members=["alice"]
    )
    site.open(page=page)
    page.goto(f"{site.url}/#/tasks/{task_id}")
    heading = page.locator(".task-title")
    expect(heading).to_have_text(title.strip())
    heading.evaluate("(element) => { element.scrollTop = element.scrollHeight }")
    cut = heading.evaluate(
        "(e) => e.scrollWidth > e.clientWidth || e.scrollTop + e.clientHeight < e.scrollHeight - 1"
    )
    assert not cut
    expect(action(page)).to_be_in_viewport(ratio=1)
    expect(page.locator(".task-close")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("name", ["constructor", "__proto__", "toString", "hasOwnProperty"])
def test_a_task_of_any_words_is_shown(page: Page, site: Any, name: str) -> None:
    task_id = write_task(
        site, title=name, status=name, createdBy="alice", reviewers=[name], events=[{"type": name}]
    )
    site.open()
    open_row(page, task_id)
    expect(page.locator(".task-title")).to_have_text(name)
    expect(detail(page, task_id).locator(".badge")).not_to_have_text("")


def test_a_task_whose_state_arrives_late_has_the_head_of_the_list(page: Page, site: Any) -> None:
    held: list[str | bytes] = []

    def delay(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            (held.append if '"task:state"' in str(message) else socket.send)(message)

        server.on_message(pass_on)
        sockets.append(socket)

    sockets: list[WebSocketRoute] = []
    page.route_web_socket("**/ws**", delay)
    task_id = write_task(site, title="Soon", status="failed", error="It broke.", events=[{"type": "failed"}])
    site.open()
    row(page, task_id).click()
    expect(detail(page, task_id).locator(".task-title")).to_have_text("Soon")
    expect(page.locator(".callout.error")).to_contain_text("It broke.")
    expect(page.locator(".timeline-empty")).to_be_hidden()
    expect(page.locator(".detail-empty")).to_be_hidden()
    # The head is shown at once, and the state may come later on a busy machine. When it goes on to the page,
    until(lambda: page.evaluate("true") and held != [], "the relay sends the state")
    for message in held:
        sockets[-1].send(message)
    expect(page.locator("[data-event-index]")).to_have_count(1)

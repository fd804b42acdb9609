"""The open task: its head, its steps and its timeline."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard import detail, entry, open_row, push, row, write_task
from playwright.sync_api import Page, expect


def test_an_open_task_appends_its_events(page: Page, site: Any) -> None:
    task_id = write_task(site, title="Open me", events=[{"type": "analysis_started"}])
    site.open()
    row(page, task_id).click()
    expect(entry(page, 0)).to_contain_text("Analysis started")
    push(site, "Open me", "commit_pushed", "pr_opened")
    expect(entry(page, 1)).to_contain_text("about commit_pushed")
    expect(entry(page, 2)).to_contain_text("PR opened")


def test_the_address_names_the_open_task(page: Page, site: Any) -> None:
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


def test_an_open_task_shows_its_questions_and_its_error(page: Page, site: Any) -> None:
    task_id = write_task(site, status="clarification_needed", questions=["Which one?", "Since when?"])
    site.open()
    row(page, task_id).click()
    expect(page.locator(".callout.questions li")).to_have_text(["Which one?", "Since when?"])
    site.tasks.update_one({}, {"$set": {"status": "failed", "error": "the push was rejected"}})
    expect(page.locator(".callout.error")).to_contain_text("the push was rejected")
    expect(page.locator(".callout.questions")).to_be_hidden()
    expect(page.locator(".steps [data-state=failed]")).to_have_count(1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tasks: tasks.delete_many({}), "has been deleted"),
        (lambda tasks: tasks.update_many({}, {"$set": {"createdBy": "bob"}}), "no longer visible"),
    ],
)
def test_the_page_says_why_an_open_task_is_gone(page: Page, site: Any, change: Any, reason: str) -> None:
    task_id = write_task(site, title="Confidential", events=[{"type": "secret"}])
    site.open()
    row(page, task_id).click()
    expect(entry(page, 0)).to_be_visible()
    change(site.tasks)
    expect(page.locator("#detail")).to_contain_text(reason)
    expect(page.locator("[data-event-index]")).to_have_count(0)
    expect(page.get_by_text("Confidential")).to_have_count(0)


def test_content_of_documents_is_shown_as_text(page: Page, site: Any) -> None:
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


def test_a_task_without_events_says_so(page: Page, site: Any) -> None:
    task_id = write_task(site)
    site.open()
    open_row(page, task_id)
    expect(page.locator(".timeline-empty")).to_be_visible()
    push(site, "A task", "first")
    expect(page.locator(".timeline-empty")).to_be_hidden()


@pytest.mark.parametrize(
    "title", ["long " * 60, "مرحبا بالعالم: إصلاح واجهة الدفع", "🚀 Ship the 🧪", "w" * 300]
)
def test_the_layout_holds_for_any_title(page: Page, site: Any, title: str) -> None:
    task_id = write_task(site, title=title)
    site.open()
    expect(row(page, task_id)).to_contain_text(title.strip())
    open_row(page, task_id)
    box, panel = row(page, task_id).bounding_box(), page.locator("#detail").bounding_box()
    assert box is not None
    assert panel is not None
    assert (round(box["height"]), round(panel["x"] + panel["width"])) == (60, 1360)
    assert page.evaluate("document.documentElement.scrollWidth") == 1360


def test_the_clicked_row_stays_in_place_when_its_task_opens(page: Page, site: Any) -> None:
    task_ids = [write_task(site, status="failed") for _ in range(60)]
    site.open()
    expect(page.locator(".row")).to_have_count(60)
    row(page, task_ids[20]).scroll_into_view_if_needed()
    before = row(page, task_ids[20]).bounding_box()
    row(page, task_ids[20]).click()
    expect(detail(page, task_ids[20])).to_be_visible()
    after = row(page, task_ids[20]).bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) <= 1

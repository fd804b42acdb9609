"""The list: one row for every visible task, in its section, through any change."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bson import ObjectId
from dashboard import detail, entry, open_row, row, write_task
from page_clocks import start_clock, stop_clock
from playwright.sync_api import Locator, Page, expect


def test_a_new_task_appears_in_the_list(page: Page, site: Any) -> None:
    site.open()
    expect(page.locator("#notice")).to_contain_text("No tasks yet")
    task_id = write_task(site, title="Fresh")
    expect(row(page, task_id, "in-progress")).to_contain_text("Fresh")
    expect(row(page, task_id).locator('[data-status="analyzing"]')).to_have_text("Analyzing")


def test_tasks_whose_words_are_names_of_object_properties_are_shown(page: Page, site: Any) -> None:
    words = ("constructor", "__proto__", "toString", "hasOwnProperty")
    for word in words:
        event = {"type": word, word: word}
        site.tasks.insert_one(
            {"_id": word, "title": word, "status": word, "createdBy": "alice", "events": [event]}
        )
    site.open()
    for word in words:
        expect(row(page, word, "in-progress").locator(f'[data-status="{word}"]')).to_be_visible()
        open_row(page, word)
        expect(entry(page, 0)).to_be_visible()


def test_a_row_moves_to_the_section_of_its_status(page: Page, site: Any) -> None:
    task_id = write_task(site)
    site.open()
    row(page, task_id, "in-progress").evaluate("row => { row.sameElement = true }")
    for status, section in (
        ("clarification_needed", "needs-me"),
        ("dispatched", "in-progress"),
        ("pr_opened", "needs-me"),
        ("failed", "failed"),
        ("merged", "completed"),
    ):
        site.tasks.update_one({}, {"$set": {"status": status}})
        expect(row(page, task_id, section).locator(f'[data-status="{status}"]')).to_be_visible()
        expect(page.locator(f'[data-section="{section}"][data-count="1"] .count')).to_have_text("1")
    assert row(page, task_id).evaluate("row => row.sameElement")


def test_a_task_with_an_open_pull_request_is_review_ready(page: Page, site: Any) -> None:
    task_id = write_task(site, status="dispatched")
    site.open()
    site.tasks.update_one({}, {"$set": {"prUrl": "https://example.com/pull/7", "prNumber": 7}})
    expect(row(page, task_id, "needs-me")).to_contain_text("Review ready")
    expect(row(page, task_id).get_by_role("link", name="Pull request 7")).to_be_visible()


def test_a_task_shows_the_stage_that_the_mapping_gives_its_status(
    page: Page, site: Any, tmp_path: Path
) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('[statuses]\nanalyzing = ["with the bot"]\npr_merged = ["shipped"]\n', "utf-8")
    site.restart(relay_mapping=str(mapping))
    with_the_bot, shipped = write_task(site, status="with the bot"), write_task(site, status="shipped")
    unlisted = write_task(site, status="on hold")

    site.open()

    def badge(task_id: str, section: str) -> Locator:
        return row(page, task_id, section).locator(".badge")

    expect(badge(with_the_bot, "in-progress")).to_have_attribute("data-stage", "analyzing")
    expect(badge(with_the_bot, "in-progress")).to_have_text("Analyzing")
    expect(badge(shipped, "completed")).to_have_text("Merged")
    expect(badge(unlisted, "in-progress")).to_have_attribute("data-stage", "created")
    expect(badge(unlisted, "in-progress")).to_have_text("On hold")
    # A live change of the status changes the stage.
    site.tasks.update_one({"_id": ObjectId(unlisted)}, {"$set": {"status": "shipped"}})
    expect(badge(unlisted, "completed")).to_have_text("Merged")


def test_the_row_of_a_deleted_task_is_removed(page: Page, site: Any) -> None:
    kept, deleted = write_task(site), write_task(site)
    site.open()
    expect(row(page, deleted)).to_be_visible()
    site.tasks.delete_one({"_id": site.tasks.find_one(sort=[("_id", -1)])["_id"]})
    expect(row(page, deleted)).to_have_count(0)
    expect(row(page, kept)).to_be_visible()


def test_the_page_shows_no_tasks_of_other_users(page: Page, site: Any) -> None:
    other = write_task(site, createdBy="bob")
    own = write_task(site)
    site.open()
    expect(row(page, own)).to_be_visible()
    expect(row(page, other)).to_have_count(0)
    page.goto(f"{site.url}/#/tasks/{other}")
    expect(page.locator("#detail")).to_contain_text("not visible to you")


def test_the_list_is_searched_by_text(page: Page, site: Any) -> None:
    wanted = write_task(site, title="Dark theme")
    write_task(site, title="Rate limits")
    site.open()
    expect(page.locator(".row")).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("dark")
    expect(page.locator(".row")).to_have_count(1)
    expect(row(page, wanted)).to_be_visible()
    page.keyboard.type(" matter")
    page.get_by_role("button", name="Show all tasks").click()
    expect(page.locator(".row")).to_have_count(2)


def test_the_list_is_filtered_by_section_and_counts_each(page: Page, site: Any) -> None:
    failed = write_task(site, status="failed")
    for status in ("merged", "merged", "pr_opened"):
        write_task(site, status=status)
    site.open()
    button = page.locator('[data-filter="failed"]')
    expect(page.locator(".filter-button")).to_have_text(
        ["Needs me 1", "Needs others 0", "In progress 0", "Failed 1", "Completed 2"]
    )
    button.click()
    expect(page.locator(".row")).to_have_count(1)
    expect(row(page, failed)).to_be_visible()
    expect(button).to_have_attribute("aria-pressed", "true")
    site.tasks.update_one({"_id": ObjectId(failed)}, {"$set": {"status": "merged"}})
    expect(page.locator("#notice")).to_contain_text("Nothing found")
    button.click()
    expect(page.locator(".row")).to_have_count(4)


def test_every_completed_task_has_a_row_to_click(page: Page, site: Any) -> None:
    oldest = write_task(site, title="The oldest", status="merged")
    for _ in range(120):
        write_task(site, status="merged")
    site.open()
    completed = page.locator("[data-section=completed]")
    expect(completed.locator(".row")).to_have_count(50)
    expect(completed).to_have_attribute("data-count", "121")
    completed.get_by_role("button", name="Show all 121").click()
    expect(completed.locator(".row")).to_have_count(121)
    expect(completed.locator(".show-all")).to_be_hidden()
    row(page, oldest).click()
    expect(detail(page, oldest)).to_contain_text("The oldest")


def test_a_search_finds_completed_tasks_that_are_not_shown(page: Page, site: Any) -> None:
    oldest = write_task(site, title="The oldest", status="merged")
    for _ in range(60):
        write_task(site, status="merged")
    site.open()
    expect(page.locator(".row")).to_have_count(50)
    expect(row(page, oldest)).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("oldest")
    expect(row(page, oldest)).to_be_visible()


def test_a_folded_section_stays_folded_after_a_reload(page: Page, site: Any) -> None:
    task_id = write_task(site, status="merged")
    site.open()
    page.locator("[data-section=completed] summary").click()
    expect(row(page, task_id)).to_be_hidden()
    # The browser tells the page a moment after it has folded it.
    # A function: an expression would be evaluated again and again, which the page's policy forbids.
    page.wait_for_function("() => localStorage.getItem('relay.v1.alice.folded') === '[\"completed\"]'")
    page.reload()
    expect(page.locator("[data-section=completed] .count")).to_have_text("1")
    expect(row(page, task_id)).to_be_hidden()


def test_the_page_has_the_documented_attributes(page: Page, site: Any) -> None:
    task_id = write_task(site, status="PR_OPENED", events=[{"type": "analysis_started"}])
    site.open()
    expect(page.locator('#connection[data-connection="live"]')).to_be_visible()
    expect(row(page, task_id).locator('[data-status="PR_OPENED"]')).to_have_text("Review ready")
    row(page, task_id).click()
    expect(detail(page, task_id).locator('[data-status="PR_OPENED"]')).to_be_visible()
    expect(entry(page, 0)).to_be_visible()
    assert page.locator("#connection").evaluate("chip => chip.dataset.connection") == "live"


def test_rows_do_not_move_under_the_pointer(page: Page, site: Any) -> None:
    first = write_task(site, title="Aimed at")
    site.open()
    stop_clock(page)  # the pointer does not rest before it leaves
    row(page, first).hover()
    before = row(page, first).bounding_box()
    for number in range(3):
        write_task(site, title=f"New {number}")
    expect(page.locator("#waiting")).to_have_text("3 changes")
    assert row(page, first).bounding_box() == before
    page.mouse.move(700, 5)
    expect(page.locator(".row")).to_have_count(4)
    expect(page.locator("#waiting")).to_be_hidden()


def test_waiting_changes_appear_on_request_or_when_the_pointer_rests(page: Page, site: Any) -> None:
    first = write_task(site)
    site.open()
    stop_clock(page)  # the pointer does not rest yet
    row(page, first).hover()
    write_task(site)
    page.locator("#waiting").click()
    expect(page.locator(".row")).to_have_count(2)
    start_clock(page)
    write_task(site)
    expect(page.locator(".row")).to_have_count(3)


def test_the_row_of_a_revoked_task_is_emptied_at_once_under_the_pointer(page: Page, site: Any) -> None:
    revoked, kept = write_task(site, title="Confidential"), write_task(site, title="Kept")
    site.open()
    row(page, kept).hover()
    site.tasks.update_one({"_id": ObjectId(revoked)}, {"$set": {"createdBy": "bob"}})
    expect(row(page, revoked)).to_have_count(0)
    expect(page.get_by_text("Confidential")).to_have_count(0)
    page.mouse.move(700, 5)
    expect(page.locator(".row")).to_have_count(1)


def test_a_click_opens_the_row_that_was_under_the_pointer_before_rows_moved(page: Page, site: Any) -> None:
    aimed = write_task(site, title="Aimed at")
    site.open()
    stop_clock(page)  # the pointer does not rest yet
    row(page, aimed).hover()
    write_task(site, title="In between")
    expect(page.locator("#waiting")).to_be_visible()
    box = row(page, aimed).bounding_box()
    assert box is not None
    # The pointer rests, another row takes the place, and the click follows in the same frame.
    page.evaluate(
        """([x, y]) => new MutationObserver((_, observer) => {
          observer.disconnect();
          requestAnimationFrame(() => document.elementFromPoint(x, y).click());
        }).observe(document.querySelector("#sections"), {childList: true, subtree: true})""",
        [box["x"] + 200, box["y"] + 10],
    )
    stop_clock(page, ahead_ms=3000)
    expect(detail(page, aimed)).to_be_visible()


def test_the_keyboard_moves_through_the_list(page: Page, site: Any) -> None:
    older, newer = write_task(site, title="Older"), write_task(site, title="Newer")
    merged = write_task(site, status="merged")
    site.open()
    expect(page.locator(".row")).to_have_count(3)
    for key, expected in (("j", newer), ("ArrowDown", older), ("j", merged), ("j", merged), ("k", older)):
        page.keyboard.press(key)
        expect(row(page, expected).locator(".row-title")).to_be_focused()
    expect(page.locator(".row a[tabindex='0']")).to_have_count(1)  # Tab stops at one row only
    page.keyboard.press("Enter")
    expect(detail(page, older)).to_be_visible()
    page.keyboard.press("Escape")
    expect(detail(page, older)).to_be_hidden()
    expect(row(page, older).locator(".row-title")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_two_pages_show_the_whole_life_of_a_task(page: Page, site: Any, capsys: Any) -> None:
    other = site.open("carol", page=site.another())
    site.open()
    seen_ms = {}
    task_id = write_task(site, title="A life", status="created", members=["carol"])
    for each in (page, other):
        expect(row(each, task_id, "in-progress")).to_be_visible()
        open_row(each, task_id)
    steps = [
        ("analysis_started", "analyzing", {}),
        ("issue_created", "dispatched", {"issueUrl": "https://example.com/1", "issueNumber": 1}),
        ("pr_opened", "pr_opened", {"prUrl": "https://example.com/2", "prNumber": 2}),
        ("pr_merged", "merged", {"mergeCommitSha": "c0ffee"}),
    ]
    for index, (event, status, fields) in enumerate(steps):
        for each in (page, other):
            each.evaluate(
                """index => { window.seen = new Promise((resolve) => new MutationObserver((_, observer) => {
                  if (!document.querySelector(`[data-event-index="${index}"]`)) return;
                  observer.disconnect();
                  resolve(Date.now());
                }).observe(document.body, {childList: true, subtree: true})) }""",
                index,
            )
        written = time.time() * 1000
        site.tasks.update_one(
            {"_id": ObjectId(task_id)},
            {"$push": {"events": {"type": event}}, "$set": {"status": status, **fields}},
        )
        seen_ms[event] = [round(each.evaluate("window.seen") - written) for each in (page, other)]
        for each in (page, other):
            expect(row(each, task_id).locator(f'[data-status="{status}"]')).to_be_visible()
            expect(detail(each, task_id).locator(f'[data-status="{status}"]')).to_be_visible()
            expect(entry(each, index)).to_be_visible()
    with capsys.disabled():
        print("\n  seen by two pages, ms after the write:", seen_ms)
    for each in (page, other):
        expect(row(each, task_id, "completed")).to_be_visible()
        expect(page.locator(".steps [data-state=done]")).to_have_count(5)

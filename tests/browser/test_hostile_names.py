"""Names and texts that writers did not mean to be read: blank, invisible, endless, from right to left."""

from __future__ import annotations

from typing import Any

from dashboard import detail, entry, open_row, row, write_task
from playwright.sync_api import Locator, Page, expect
from timeline_events import TRACEBACK


def height_of(locator: Locator) -> float:
    return float(locator.evaluate("element => element.getBoundingClientRect().height"))


def test_what_cannot_be_seen_is_no_name(page: Page, site: Any) -> None:
    blank = {"title": " \u200b", "createdBy": "\u2060", "status": "\u00ad", "members": ["alice"]}
    task_id = write_task(site, **blank, events=[{"type": "\u200b\ufeff", "message": "x"}, {"type": " "}])
    failed = write_task(
        site, title="Export", createdBy="bob", status="failed", members=["alice"], error=TRACEBACK
    )
    site.open()
    expect(row(page, failed).locator(".waits")).to_have_text("concerns bob")
    expect(row(page, task_id).locator(".row-title")).to_have_text("Untitled")
    expect(row(page, task_id).locator(".badge")).to_have_text("Created")
    expect(row(page, task_id).locator(".creator")).to_be_hidden()
    open_row(page, task_id)
    expect(detail(page, task_id).locator(".task-title")).to_have_text("Untitled")
    expect(page.locator(".task-by")).to_be_hidden()
    expect(page.locator(".kind")).to_have_text(["All 2", "Event 2"])
    open_row(page, failed)  # what failed stands in the last line of its traceback
    expect(page.locator(".error-headline")).to_have_text("KeyError: 'half_up'")


def test_the_end_of_a_long_traceback_is_read_first(page: Page, site: Any) -> None:
    frames = "".join(f'  File "/app/step_{n}.py", line {n}, in run\n    step_{n + 1}()\n' for n in range(60))
    error = f"Traceback (most recent call last):\n{frames}KeyError: 'half_up'"
    task_id = write_task(site, status="failed", error=error, events=[{"type": "created"}])
    site.open()
    open_row(page, task_id)
    callout = page.locator(".callout.error")
    expect(callout.locator("pre")).to_contain_text("…")  # the relay cuts what all lists have
    site.tasks.update_one({}, {"$push": {"events": {"type": "failed", "error": error}}})
    expect(callout.locator(".error-headline")).to_have_text("KeyError: 'half_up'")
    expect(callout.locator(".block-fold")).to_have_text("Show all 122 lines")


def test_no_name_pushes_away_what_is_read_or_leaves_its_place(page: Page, site: Any) -> None:
    task_id = write_task(
        site,
        title="long " * 60,
        createdBy="K" * 200,
        members=["alice"],
        status="clarification_needed",
        questions=["Up?", "هل نقرّب إلى الأعلى؟"],
        events=[{"type": "W" * 300}, {"type": "asked", "questions": ["هل نقرّب إلى الأعلى؟"]}],
    )
    page.set_viewport_size({"width": 390, "height": 844})
    site.open()
    open_row(page, task_id)
    for names in (
        page.locator(".task-by"),
        page.locator(".task-waits"),
        entry(page, 0).locator(".entry-kind"),
    ):
        assert 0 < height_of(names) <= 41, names
        assert len(names.get_attribute("title") or "") >= 150
    # The number stands before the question, inside of the box.
    for question in (
        page.locator(".callout.questions li").last,
        entry(page, 1).locator(".entry-questions li"),
    ):
        assert question.evaluate("element => parseFloat(getComputedStyle(element).marginRight)") >= 20
    assert height_of(page.locator(".task-title")) % 26 == 0  # no half line


def test_without_the_colours_of_the_page_one_sees_what_is_open_and_chosen(site: Any) -> None:
    page = site.another(forced_colors="active")
    write_task(site, title="Other")
    task_id = write_task(site, status="dispatched", events=[{"type": "created"}, {"type": "log"}])
    site.open(page=page)
    open_row(page, task_id)
    page.locator("[data-filter='in-progress']").click()
    styles = """element => {
      const { outlineStyle, backgroundColor } = getComputedStyle(element);
      return [outlineStyle, backgroundColor];
    }"""
    before = "element => getComputedStyle(element, '::before').backgroundColor"
    rows = page.locator(".row")
    for chosen, other in (
        (row(page, task_id), rows.filter(has_text="Other")),
        (page.locator("[data-filter='in-progress']"), page.locator("[data-filter='failed']")),
        (page.locator(".kind[aria-pressed='true']"), page.locator(".kind[aria-pressed='false']").first),
    ):
        assert chosen.evaluate(styles) != other.evaluate(styles), chosen
    steps = page.locator(".steps li")
    assert steps.first.evaluate(before) != steps.last.evaluate(before)
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert page.locator(".chip-dot").evaluate(styles)[1] == ink
    colour = "element => getComputedStyle(element).color"
    pressed = page.locator(".kind[aria-pressed='true']")
    assert pressed.locator(".count").evaluate(colour) == pressed.evaluate(colour) != ink

"""The dashboard for every reader: accessibility, small windows, reduced motion, and hostile documents."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard import connection, detail, entry, open_row, row, set_status, until, write_task
from page_clocks import stop_time_of_day
from playwright.sync_api import Page, expect
from support.relay_fixture import token

from relay.gateway.pages.served import WEB

# With comments, and with the texts of two languages, which are a fifth of it. About a third arrives (test_arriving.py),
# because it is compressed.
PAGE_BYTES_MAX = 350_000


def test_a_page_with_reduced_motion_highlights_a_change_and_animates_nothing(site: Any) -> None:
    page = site.another(reduced_motion="reduce")
    task_id = write_task(site)
    site.open(page=page)
    expect(row(page, task_id)).to_be_visible()
    page.evaluate("() => { Element.prototype.animate = () => { throw new Error('it moves') } }")
    stop_time_of_day(page)  # the highlight stays
    set_status(site, "A task", "failed")
    expect(row(page, task_id, "failed")).to_have_class("row marked")
    assert page.evaluate("document.getAnimations().length") == 0


def test_animations_change_only_transform_and_opacity(page: Page, site: Any) -> None:
    write_task(site)
    site.open()
    page.evaluate(
        """() => { window.moved = new Set(); const { animate } = Element.prototype;
          Element.prototype.animate = function (frames, how) {
            for (const frame of frames) for (const name of Object.keys(frame)) moved.add(name);
            return animate.call(this, frames, how);
          } }"""
    )
    new = write_task(site, title="New")
    expect(row(page, new)).to_be_visible()

    def change(status: str) -> bool:
        page.wait_for_timeout(
            300
        )  # on a busy machine changes may become a burst, in which the page animates nothing
        set_status(site, "New", status)
        expect(row(page, new).locator(f'[data-status="{status}"]')).to_be_visible()
        return bool(page.evaluate("moved.size"))

    until(lambda: change("merged") or change("failed"), "something moves")
    assert set(page.evaluate("[...moved]")) <= {"transform", "opacity", "zIndex"}


def test_the_page_fits_a_phone(page: Page, site: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    task_id = write_task(site, title="A rather long title " * 15, createdBy="alice")
    site.open()
    row(page, task_id).click()
    expect(detail(page, task_id)).to_be_visible()
    expect(page.locator("#list")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("link", name="Close the task").click()
    expect(row(page, task_id)).to_be_visible()


def test_the_list_keeps_its_position_behind_a_task_on_a_phone(site: Any) -> None:
    page = site.another(viewport={"width": 390, "height": 780}, has_touch=True)
    task_ids = [write_task(site, status="merged") for _ in range(40)]
    site.open(page=page)
    expect(page.locator(".row")).to_have_count(40)
    row(page, task_ids[5]).tap()
    expect(detail(page, task_ids[5])).to_be_visible()
    expect(page.locator(".task-title")).to_be_focused()
    page.go_back()
    expect(row(page, task_ids[5])).to_be_in_viewport()
    expect(row(page, task_ids[5]).locator(".row-title")).to_be_focused()


@pytest.mark.parametrize(
    "text", ["<script>document.title = 1</script>", "<img src=x onerror='document.title=1'>"]
)
def test_the_page_never_runs_code_from_a_document(page: Page, site: Any, text: str) -> None:
    hostile = "javascript:document.title=1"
    task_id = write_task(
        site,
        title=text,
        createdBy="alice",
        status="failed",
        error=text,
        issueUrl=hostile,
        prUrl="data:text/html," + text,
        events=[{"type": text, "message": text, "url": hostile, text: text}],
    )
    site.open()
    expect(row(page, task_id)).to_contain_text(text)
    expect(row(page, task_id).locator("a.ref")).to_have_count(0)
    open_row(page, task_id)
    expect(page.locator(".callout.error")).to_contain_text(text)
    entry(page, 0).locator(".entry-more").click()
    expect(entry(page, 0).locator("pre")).to_contain_text(hostile)
    assert page.locator("main script, main img, a[href^=javascript], a[href^=data]").count() == 0
    expect(page).to_have_title("Tasks")


def test_the_page_is_small_and_has_no_inline_script_or_style(page: Page, site: Any) -> None:
    files = [file for file in (WEB / "dashboard").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < PAGE_BYTES_MAX
    page.goto(f"{site.url}/#token={token('alice')}")
    expect(connection(page, "live")).to_be_visible()
    assert (
        page.locator("script:not([src], [type='application/json']), style, [style], [onclick]").count() == 0
    )

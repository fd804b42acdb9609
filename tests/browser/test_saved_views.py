"""Saved views: a search and a section under a name, kept in the browser of one user."""

from __future__ import annotations

import json
from typing import Any

from dashboard import row, write_task
from playwright.sync_api import Locator, Page, expect
from support.relay_fixture import token


def menu(page: Page) -> Locator:
    if not page.locator("#views").is_visible():
        page.locator("#views-button").click()
    return page.get_by_role("dialog", name="Saved views")


def save(page: Page, text: str, section: str | None, name: str | None) -> None:
    page.locator("#search").fill(text)
    if section:
        page.locator(f'[data-filter="{section}"]').click()
    shown = menu(page)
    if name is not None:
        shown.get_by_label("Save this view as").fill(name)
    shown.get_by_role("button", name="Save").click()
    page.keyboard.press("Escape")


def names(page: Page) -> list[str]:
    return page.locator(".views-open .views-name").all_text_contents()


def test_a_view_is_saved_opened_counted_renamed_and_deleted(page: Page, site: Any) -> None:
    dark = write_task(site, title="Dark theme", status="failed")
    write_task(site, title="Dark matter")
    rate = write_task(site, title="Rate limits")
    site.open()
    expect(page.locator(".row")).to_have_count(3)
    expect(menu(page)).to_contain_text("Search or choose a section")
    page.keyboard.press("Escape")
    save(page, "dark", "failed", "Dark failures")
    expect(page.locator("#views-button")).to_contain_text("Dark failures")
    page.get_by_role("button", name="Clear the search").click()
    page.locator('[data-filter="failed"]').click()
    save(page, "rate", None, None)  # the name that is offered

    page.reload()
    expect(row(page, rate)).to_be_visible()
    shown = menu(page)
    expect(shown.locator(".views-open")).to_have_text(["All tasks3", "Dark failures1", "rate1"])
    shown.get_by_role("link", name="Dark failures").click()
    expect(page.locator(".row")).to_have_count(1)
    expect(row(page, dark)).to_be_visible()
    assert page.url.endswith("/?q=dark&section=failed")
    page.go_back()
    expect(row(page, rate)).to_be_visible()

    menu(page).get_by_role("button", name="Rename Dark failures").click()
    page.keyboard.type("Broken")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Broken")).to_be_focused()
    page.get_by_role("button", name="Rename Broken").click()
    page.keyboard.type("not this")
    page.keyboard.press("Escape")
    assert names(page) == ["All tasks", "Broken", "rate"]
    for _ in range(2):  # the second time after it came back to its place
        page.get_by_role("button", name="Delete Broken").click()
        assert names(page) == ["All tasks", "rate"]
        expect(page.locator("#views")).to_contain_text("Deleted: Broken")
        expect(page.get_by_role("button", name="Undo: delete Broken")).to_be_focused()
        page.keyboard.press("Enter")
        assert names(page) == ["All tasks", "Broken", "rate"]
        expect(page.get_by_role("link", name="Broken")).to_be_focused()
    page.get_by_role("button", name="Delete Broken").click()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("link", name="All tasks")).to_be_focused()
    page.keyboard.press("Escape")
    menu(page)
    assert names(page) == ["All tasks", "rate"]
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    page.get_by_role("link", name="All tasks").click()
    expect(page.locator(".row")).to_have_count(3)


def test_the_menu_of_views_works_with_the_keyboard_alone(page: Page, site: Any) -> None:
    dark, rate = write_task(site, title="Dark theme"), write_task(site, title="Rate limits")
    site.open()
    save(page, "dark", None, "One")
    save(page, "rate", None, "Two")
    expect(row(page, rate)).to_be_visible()
    page.locator("#views-button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Two")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("link", name="One")).to_be_focused()
    page.keyboard.press("Enter")
    expect(row(page, dark)).to_be_visible()
    expect(page.locator("#views")).to_be_hidden()
    page.locator("#views-button").press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#views")).to_be_hidden()
    expect(page.locator("#views-button")).to_be_focused()


def test_a_count_in_the_menu_follows_the_tasks(page: Page, site: Any) -> None:
    site.open()
    save(page, "dark", None, "Dark")
    expect(menu(page).get_by_role("link", name="Dark").locator(".count")).to_have_text("0")
    write_task(site, title="Dark theme")
    expect(menu(page).get_by_role("link", name="Dark").locator(".count")).to_have_text("1")


def test_views_belong_to_a_user_and_are_shared_between_tabs(page: Page, site: Any) -> None:
    write_task(site, title="Dark theme", members=["carol"])
    site.open()
    second = page.context.new_page()
    second.goto(f"{site.url}/#token={token('alice')}")
    expect(second.locator(".row")).to_have_count(1)
    save(page, "dark", None, "Dark")
    menu(second)
    expect(second.locator(".views-open .views-name")).to_have_text(["All tasks", "Dark"])

    second.goto(f"{site.url}/#token={token('carol')}")
    second.reload()
    expect(second.locator(".row")).to_have_count(1)
    menu(second)
    assert names(second) == ["All tasks"]


def test_what_is_no_view_in_the_memory_of_the_browser_is_left_out(page: Page, site: Any) -> None:
    write_task(site)
    site.open()
    for stored in (
        '{"a": 1}',
        '[1, null, {"name": 1}, {"name": "x", "text": 3}, {"name": " ", "text": ""}]',
        "[",
    ):
        page.evaluate("stored => localStorage.setItem('relay.v1.alice.views', stored)", stored)
        page.reload()
        expect(page.locator(".row")).to_have_count(1)
        menu(page)
        assert names(page) == ["All tasks"]
    one = '[{"name": "<b>x</b>", "text": "A", "section": "constructor"}]'
    page.evaluate("stored => localStorage.setItem('relay.v1.alice.views', stored)", one)
    page.reload()
    expect(page.locator(".row")).to_have_count(1)
    menu(page)
    expect(page.locator(".views-open .views-name")).to_have_text(["All tasks", "<b>x</b>"])
    # No more than thirty, and the menu says so where another one could be saved.
    many = json.dumps([{"name": f"View {number}", "text": f"{number}"} for number in range(40)])
    page.evaluate("stored => localStorage.setItem('relay.v1.alice.views', stored)", many)
    page.goto(f"{site.url}/?q=task")
    expect(page.locator(".row")).to_have_count(1)
    menu(page)
    expect(page.locator(".views-open")).to_have_count(31)
    expect(page.locator(".views-none")).to_contain_text("30 views are saved")
    expect(page.locator(".views-save")).to_be_hidden()

"""The keyboard: what each key does, and when it does nothing."""

from __future__ import annotations

from typing import Any

from dashboard import detail, open_row, row, write_task
from playwright.sync_api import Page, expect

from relay.gateway.pages.served import WEB


def title_of(page: Page, task_id: str) -> Any:
    return row(page, task_id).locator(".row-title")


def test_j_and_k_open_the_next_task_beside_the_list_and_back_leads_to_before(page: Page, site: Any) -> None:
    first, second, third = [write_task(site, title=title) for title in ("First", "Second", "Third")]
    page.set_viewport_size({"width": 1440, "height": 900})
    site.open()
    open_row(page, third)
    entries = page.evaluate("history.length")
    for key, expected in (("j", second), ("j", first), ("j", first), ("k", second)):
        page.keyboard.press(key)
        expect(detail(page, expected)).to_be_visible()
        expect(row(page, expected)).to_have_attribute("aria-current", "true")
    expect(title_of(page, second)).to_be_focused()  # the focus was in the list, and stays with the open task
    assert page.evaluate("history.length") == entries
    page.keyboard.press("ArrowDown")  # the arrows move the focus alone
    expect(title_of(page, first)).to_be_focused()
    expect(detail(page, second)).to_be_visible()
    locked = "key => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))"
    page.evaluate(locked, "J")  # with the lock of capital letters
    expect(detail(page, first)).to_be_visible()
    page.go_back()
    expect(page.locator("article.task")).to_be_hidden()


def test_j_and_k_move_the_focus_where_no_task_lies_beside_the_list(page: Page, site: Any) -> None:
    older, newer = write_task(site, title="Older"), write_task(site, title="Newer")
    page.set_viewport_size({"width": 900, "height": 900})
    site.open()
    expect(page.locator(".row")).to_have_count(2)
    for key, expected in (("j", newer), ("j", older), ("k", newer)):
        page.keyboard.press(key)
        expect(title_of(page, expected)).to_be_focused()
    expect(page.locator("article.task")).to_be_hidden()


def test_n_opens_the_tasks_that_need_me_one_after_the_other(page: Page, site: Any) -> None:
    site.open()
    page.keyboard.press("n")
    expect(page.locator("#said")).to_have_text("Nothing needs you.")
    one, two = write_task(site, status="pr_opened"), write_task(site, status="clarification_needed")
    write_task(site, status="pr_opened", createdBy="bob", members=["alice"])
    expect(page.locator('[data-filter="needs-me"] .count')).to_have_text("2")
    expect(page.locator('[data-section="needs-me"] .row')).to_have_count(2)
    seen = []
    for _ in range(4):
        page.keyboard.press("n")
        page.wait_for_function(
            "before => location.hash.length > 9 && !location.hash.endsWith(before)",
            arg=seen[-1] if seen else "none",
        )
        seen.append(page.url.rpartition("/")[2])
        expect(detail(page, seen[-1])).to_be_visible()
    assert {*seen[:2]} == {one, two}
    assert seen[2:] == seen[:2]


def test_c_copies_the_link_of_the_open_task(site: Any) -> None:
    page = site.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    task_id = write_task(site)
    site.open(page=page)
    page.keyboard.press("c")  # does nothing without an open task
    open_row(page, task_id)
    page.keyboard.press("c")
    page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('#/tasks/')")
    assert page.evaluate("navigator.clipboard.readText()") == f"{site.url}/#/tasks/{task_id}"


def test_no_key_acts_with_a_modifier_in_a_field_in_a_dialog_or_while_a_word_is_composed(
    page: Page, site: Any
) -> None:
    task_id = write_task(site, status="pr_opened")
    site.open()
    expect(row(page, task_id)).to_be_visible()
    keys = ("j", "k", "n", "c", "?", "End")
    nothing = page.locator("article.task, dialog[open]").filter(visible=True)
    press = """([key, extra, target]) => (target ? document.querySelector(target) : document.body)
      .dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true, ...extra}))"""

    def is_left_alone(key: str, extra: dict[str, Any], target: str = "") -> None:
        assert page.evaluate(press, [key, extra, target]), f"{key} is not taken from the browser"
        expect(nothing).to_have_count(0)
        assert page.evaluate("document.activeElement.closest('.row')") is None

    for key in (*keys, "/"):
        for modifier in ("ctrlKey", "altKey", "metaKey"):
            is_left_alone(key, {modifier: True})
        is_left_alone(key, {"isComposing": True})
        is_left_alone(key, {"keyCode": 229})
    page.keyboard.press("/")
    for key in keys:
        is_left_alone(key, {}, "#search")
    page.keyboard.type("jkn?/c")
    expect(page.locator("#search")).to_have_value("jkn?/c")
    page.get_by_role("button", name="Clear the search").click()
    page.locator("#connection").click()
    for key in (*keys, "/"):
        is_left_alone(key, {})
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    page.keyboard.press("n")
    page.keyboard.press("/")
    expect(dialog).to_be_visible()
    expect(page.locator("article.task")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_the_help_lists_every_key_in_the_language_of_the_page(page: Page, site: Any) -> None:
    source = (WEB / "dashboard" / "keys.js").read_text("utf-8")
    known = {line.split('"')[1] for line in source.splitlines() if line.startswith('    ["')} | {"Escape"}
    shown_as = {"ArrowDown": "↓", "ArrowUp": "↑", "Escape": "Esc"}
    site.open()
    for language, title in (("en", "Keys"), ("de", "Tasten")):
        page.goto(f"{site.url}/?lang={language}")
        expect(page.locator('[data-connection="live"]')).to_be_visible()
        page.keyboard.press("?")
        dialog = page.get_by_role("dialog", name=title)
        listed = set(dialog.locator("kbd").all_text_contents())
        assert listed - {"Enter"} == {shown_as.get(key, key) for key in known}
        page.keyboard.press("Escape")

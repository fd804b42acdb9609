"""The search and the section that is shown: what they find, and that both live in the page's address."""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from accessibility import complaints
from dashboard import detail, open_row, push, row, write_task
from playwright.sync_api import Locator, Page, expect
from support.relay_fixture import token


def type_search(page: Page, text: str) -> None:
    page.locator("#search").blur()
    page.keyboard.press("/")  # selects what is there
    page.keyboard.type(text)


def shown_in(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def expect_query(page: Page, **wanted: str) -> None:
    """Wait until the address says exactly this."""
    page.wait_for_function(
        """wanted => {
          const given = [...new URLSearchParams(location.search)].sort();
          return JSON.stringify(given) === JSON.stringify(wanted);
        }""",
        arg=sorted(map(list, wanted.items())),
    )


def expect_rows(page: Page, *task_ids: str) -> None:
    expect(page.locator(".row")).to_have_count(len(task_ids))
    for task_id in task_ids:
        expect(row(page, task_id)).to_be_visible()


def test_all_words_of_a_search_have_to_be_seen_of_a_task(page: Page, site: Any) -> None:
    rounding = write_task(site, title="Round the prices: Straße", status="pr_opened", prNumber=12)
    export = write_task(site, title="Export the orders", status="failed", members=["alice"], createdBy="bob")
    other = write_task(site, title="Round the clock")
    site.open()
    expect_rows(page, rounding, export, other)
    for text, found in (
        ("STRASSE round", [rounding]),
        ("round", [rounding, other]),
        ("round review", [rounding]),
        ("#12", [rounding]),
        ("creator:bob", [export]),
        ("status:failed", [export]),
        ("-round", [export]),
        ('"the prices"', [rounding]),
        ("is:mine", [rounding, other]),
        (export, [export]),
        ("foo:bar", []),
    ):
        type_search(page, text)
        expect_rows(page, *found)
    expect(page.locator("#notice")).to_contain_text("No task matches “foo:bar”.")


def test_a_view_is_in_the_address_and_survives_a_reload_and_another_sign_in(page: Page, site: Any) -> None:
    wanted = write_task(site, title="Dark theme", status="failed")
    write_task(site, title="Dark matter")
    write_task(site, title="Rate limits", status="failed")
    page.goto(f"{site.url}/?lang=en#token={token('alice')}")
    type_search(page, "creator:alice dark")
    page.locator('[data-filter="failed"]').click()
    expect_rows(page, wanted)
    expect_query(page, lang="en", q="creator:alice dark", section="failed")
    assert "q=creator:alice+dark" in page.url  # readable, for who passes it on

    page.reload()
    expect_rows(page, wanted)
    expect(page.locator("#search")).to_have_value("creator:alice dark")
    expect(page.locator('[data-filter="failed"]')).to_have_attribute("aria-pressed", "true")
    open_row(page, wanted)
    expect_query(page, lang="en", q="creator:alice dark", section="failed")
    assert page.url.endswith(f"#/tasks/{wanted}")

    # The address as a link, in the browser of somebody else who may see the task.
    other = site.another()
    query = urlsplit(page.url).query
    site.tasks.update_many({}, {"$set": {"members": ["carol"]}})
    other.goto(f"{site.url}/?{query}#token={token('carol')}")
    expect_rows(other, wanted)


def test_the_orders_of_the_sections_are_in_the_address_and_those_of_a_link_are_not_remembered(
    page: Page, site: Any
) -> None:
    for status in ("failed", "failed", "merged", "merged"):
        write_task(site, status=status)
    page.goto(f"{site.url}/?order=completed:changed,failed:constructor,x:newest#token={token('alice')}")

    def order(section: str) -> Locator:
        return page.locator(f'[data-section="{section}"] .order select')

    expect(order("completed")).to_have_value("changed")
    expect(order("failed")).to_have_value("latest")
    expect_query(page, order="completed:changed")
    page.goto(f"{site.url}/?q=task")  # a link without orders has the reader's own
    expect(order("completed")).to_have_value("latest")
    expect_query(page, q="task")

    order("failed").select_option("newest")
    expect_query(page, q="task", order="failed:newest")
    page.reload()
    expect(order("failed")).to_have_value("newest")
    page.locator('[data-filter="failed"]').click()
    expect_query(page, q="task", section="failed", order="failed:newest")
    order("failed").select_option("latest")
    expect_query(page, q="task", section="failed")
    page.go_back()
    expect_query(page, q="task")


def test_back_leads_to_the_view_before_and_letters_fill_no_history(page: Page, site: Any) -> None:
    dark, rate = write_task(site, title="Dark theme"), write_task(site, title="Rate limits")
    site.open()
    expect_rows(page, dark, rate)
    entries = page.evaluate("history.length")
    type_search(page, "dark theme")
    expect_rows(page, dark)
    expect_query(page, q="dark theme")
    assert page.evaluate("history.length") == entries + 1
    open_row(page, dark)
    page.locator('[data-filter="failed"]').click()
    expect_query(page, q="dark theme", section="failed")

    page.go_back()
    expect_query(page, q="dark theme")
    expect_rows(page, dark)
    expect(detail(page, dark)).to_be_visible()
    page.go_back()
    expect(detail(page, dark)).to_be_hidden()
    page.go_back()
    expect_rows(page, dark, rate)
    expect(page.locator("#search")).to_have_value("")
    page.go_forward()
    expect_rows(page, dark)
    expect(page.locator("#search")).to_have_value("dark theme")


def test_the_letters_typed_last_are_kept_by_a_task_that_is_opened_at_once(page: Page, site: Any) -> None:
    task_id = write_task(site, title="Dark theme")
    site.open()
    expect_rows(page, task_id)
    type_search(page, "dar")
    page.evaluate(
        """taskId => {
          const field = document.querySelector("#search");
          field.value = "dark";
          field.dispatchEvent(new InputEvent("input", {bubbles: true}));
          location.hash = `#/tasks/${taskId}`;
        }""",
        task_id,
    )
    expect(detail(page, task_id)).to_be_visible()
    expect_query(page, q="dark")
    expect(page.locator("#search")).to_have_value("dark")


def test_a_text_of_any_length_leaves_an_address_that_can_be_loaded_again(page: Page, site: Any) -> None:
    write_task(site)
    site.open()
    page.keyboard.press("/")
    page.keyboard.insert_text("€ and more " * 4000)  # as pasted
    page.wait_for_function("location.search.length > 100")
    expect(page.locator("#search")).to_have_value(re.compile("^€ and more"))
    assert page.evaluate("location.search.length") < 5000
    page.reload()
    expect(page.locator("#search")).to_have_value(re.compile("^€ and more"))
    page.goto(f"{site.url}/?q={'word+' * 200}")
    expect(page.locator("#search")).to_have_value("word " * 100)


@pytest.mark.parametrize(
    "query", ["q=%", "q=%E0%A4%A", "section=constructor", "section=", "q=&section=needs-you"]
)
def test_an_address_that_means_nothing_shows_all_tasks_or_says_what_it_searched(
    page: Page, site: Any, query: str
) -> None:
    task_id = write_task(site, title="100 %")
    page.goto(f"{site.url}/?{query}#token={token('alice')}")
    if query == "q=%E0%A4%A":
        expect(page.locator("#notice")).to_contain_text("No task matches")
    else:
        expect_rows(page, task_id)


def test_escape_empties_the_search_then_leaves_it_then_closes_the_task(page: Page, site: Any) -> None:
    dark = write_task(site, title="Dark theme")
    site.open()
    open_row(page, dark)
    page.locator('[data-filter="in-progress"]').click()
    type_search(page, "dark")
    field = page.locator("#search")
    page.keyboard.press("Escape")
    expect(field).to_have_value("")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(field).not_to_be_focused()
    expect(detail(page, dark)).to_be_visible()
    page.keyboard.press("Escape")
    expect(detail(page, dark)).to_be_hidden()
    expect_query(page, section="in-progress")
    page.keyboard.press("Escape")
    expect_query(page)


def test_is_unread_finds_what_changed_since_it_was_last_open(page: Page, site: Any) -> None:
    quiet, changed = write_task(site, title="Quiet"), write_task(site, title="Changed")
    site.open()
    expect_rows(page, quiet, changed)
    push(site, "Changed", "log")
    expect(page.locator(f'[data-unread][data-task-id="{changed}"]')).to_be_visible()
    type_search(page, "is:unread")
    expect_rows(page, changed)
    type_search(page, "-is:unread")
    expect_rows(page, quiet)


def test_the_help_under_the_field_shows_what_can_be_typed_and_types_it(page: Page, site: Any) -> None:
    write_task(site)
    site.open()
    help_ = page.locator(".search-help")
    expect(help_).to_be_hidden()
    page.keyboard.press("/")
    expect(help_).to_contain_text("All words have to match")
    help_.get_by_role("button", name="creator:…").click()
    expect(page.locator("#search")).to_have_value("creator:")
    expect(page.locator("#search")).to_be_focused()
    expect(help_).to_be_hidden()
    page.keyboard.type("alice")
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_role("button", name="Clear the search").click()
    expect(page.locator("#search")).to_have_value("")


def test_a_stage_is_found_by_its_name_in_the_language_of_the_page(page: Page, site: Any) -> None:
    asked = write_task(site, status="clarification_needed")
    merged = write_task(site, status="merged")
    page.goto(f"{site.url}/?lang=de#token={token('alice')}")
    expect_rows(page, asked, merged)
    type_search(page, row(page, asked).locator(".badge").inner_text().upper())
    expect_rows(page, asked)
    type_search(page, "nichts dergleichen")
    expect(page.locator("#notice")).to_contain_text("Nichts gefunden")


def test_axe_finds_nothing_in_the_header_and_what_it_opens(site: Any, axe: str) -> None:
    page = site.another(viewport={"width": 1440, "height": 800}, reduced_motion="reduce", bypass_csp=True)
    found = partial(complaints, page, axe, widths=(1440, 390), schemes=("light", "dark"))
    write_task(site, title="Dark theme", status="failed")
    write_task(site, title="Rate limits", status="pr_opened")
    site.open(page=page)
    expect(page.locator(".row")).to_have_count(2)
    page.keyboard.press("/")
    expect(page.locator(".search-help")).to_be_visible()
    assert found() == []
    page.keyboard.type("dark")
    expect(page.locator(".row")).to_have_count(1)
    assert found() == []
    page.locator("#views-button").click()
    page.get_by_role("button", name="Save", exact=True).click()
    assert found() == []
    page.get_by_role("button", name="Rename dark").click()
    assert found() == []


def test_a_search_is_typed_smoothly_over_thousands_of_tasks(page: Page, site: Any, capsys: Any) -> None:
    site.tasks.insert_many({"title": f"Tâche numéro {n}", "createdBy": "alice"} for n in range(5000))
    site.open()
    expect(page.locator(".row")).to_have_count(5000, timeout=60_000)
    page.evaluate(
        """() => {
          window.longTasks = [];
          new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({duration}) => duration)))
            .observe({type: "longtask"});
        }"""
    )
    type_search(page, "tache numero 4999")
    expect(page.locator(".row")).to_have_count(1)
    with capsys.disabled():
        print(
            "\n  typing over 5,000 tasks, ms of long tasks:", [round(ms) for ms in page.evaluate("longTasks")]
        )
    expect(page).to_have_url(re.compile(r"q=tache\+numero"))

"""The list as an inbox: the order of its rows, what is unread in it, and what happened while its reader was away."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from dashboard import detail, open_row, push, row, set_status, until, write_task
from playwright.sync_api import Locator, Page, expect

MINUTE_MS = 60_000
ORDERS = "relay.v1.alice.orders"
MARKS = "relay.v1.alice.marks"
STAYS = "relay.v1.alice.stays"
LOOK = "relay.v1.alice.look"


def section(page: Page, key: str) -> Locator:
    return page.locator(f'[data-section="{key}"]')


def titles(page: Page, key: str) -> Locator:
    return section(page, key).locator(".row-title")


def unread(page: Page) -> Locator:
    return page.locator("[data-unread] .row-title")


def remembered(page: Page, key: str) -> Any:
    return page.evaluate("key => JSON.parse(localStorage.getItem(key))", key)


def wait_until_remembered(page: Page, key: str) -> None:
    until(lambda: remembered(page, key) is not None, f"the browser remembers {key}")


# Order


def test_the_latest_task_to_enter_a_section_comes_first(page: Page, site: Any) -> None:
    for title in ("First", "Second", "Third"):
        write_task(site, title=title, status="analyzing")
    site.open()
    expect(titles(page, "in-progress")).to_have_text(["Third", "Second", "First"])
    # A change within the section moves nothing. One that leaves it, and one that comes back, do.
    set_status(site, "First", "dispatched")
    expect(row(page, str(site.tasks.find_one({"title": "First"})["_id"]))).to_contain_text("Dispatched")
    expect(titles(page, "in-progress")).to_have_text(["Third", "Second", "First"])
    set_status(site, "Second", "failed")
    expect(titles(page, "failed")).to_have_text(["Second"])
    set_status(site, "Second", "analyzing")
    expect(titles(page, "in-progress")).to_have_text(["Second", "Third", "First"])
    set_status(site, "First", "merged")
    set_status(site, "Third", "merged")
    expect(titles(page, "completed")).to_have_text(["Third", "First"])
    # The page remembers when each came, though no document says it.
    until(lambda: len(remembered(page, STAYS) or []) == 3, "the browser remembers since when tasks are there")
    page.reload()
    expect(titles(page, "completed")).to_have_text(["Third", "First"])
    expect(titles(page, "in-progress")).to_have_text(["Second"])


def test_a_section_has_the_order_that_its_reader_chose_also_after_a_reload(page: Page, site: Any) -> None:
    now = datetime.now(UTC)
    for title, created_h, updated_h in (("A", 9, 1), ("B", 8, 3), ("C", 7, 2)):
        at = {"createdAt": now - timedelta(hours=created_h), "updatedAt": now - timedelta(hours=updated_h)}
        write_task(site, title=title, status="failed", **at)
    write_task(site, title="Other", status="merged")
    site.open()
    order = section(page, "failed").get_by_label("Order of")
    expect(titles(page, "failed")).to_have_text(["A", "C", "B"])
    for name, expected in (
        ("Waiting longest", ["B", "C", "A"]),
        ("Last created", ["C", "B", "A"]),
        ("Last changed", ["A", "C", "B"]),
        ("Latest first", ["A", "C", "B"]),
        ("Waiting longest", ["B", "C", "A"]),
    ):
        order.select_option(name)
        expect(titles(page, "failed")).to_have_text(expected)
    page.reload()
    expect(titles(page, "failed")).to_have_text(["B", "C", "A"])
    expect(order).to_have_value("waiting")
    assert remembered(page, ORDERS) == {"failed": "waiting"}


def test_a_change_moves_a_row_to_the_top_in_the_order_of_the_last_change(page: Page, site: Any) -> None:
    for title in ("First", "Second"):
        write_task(site, title=title)
    site.open()
    section(page, "in-progress").get_by_label("Order of").select_option("changed")
    expect(titles(page, "in-progress")).to_have_text(["Second", "First"])
    push(site, "First", "log")  # and nothing in the document says when
    expect(titles(page, "in-progress")).to_have_text(["First", "Second"])


def test_a_row_tells_the_time_in_its_stage_and_not_since_the_last_change(page: Page, site: Any) -> None:
    then = datetime.now(UTC) - timedelta(hours=3)
    task_id = write_task(site, status="pr_opened", createdAt=then, updatedAt=then)
    site.open()
    age = row(page, task_id).locator(".age")
    expect(age).to_have_text("3 h")
    site.tasks.update_one(
        {}, {"$push": {"events": {"type": "log"}}, "$set": {"updatedAt": datetime.now(UTC), "title": "Later"}}
    )
    expect(row(page, task_id)).to_contain_text("Later")
    expect(age).to_have_text("3 h")
    wait_until_remembered(page, STAYS)
    page.reload()
    expect(age).to_have_text("3 h")
    set_status(site, "Later", "merged")
    expect(age).to_have_text(re.compile(r"^\d+ (s|min)$"))


def test_failed_tasks_of_the_reader_come_first_and_are_counted(page: Page, site: Any) -> None:
    for title, creator in (("Mine", "alice"), ("Theirs", "bob"), ("Also theirs", "bob")):
        write_task(site, title=title, createdBy=creator, members=["alice"], status="failed")
    site.open()
    expect(titles(page, "failed")).to_have_text(["Mine", "Also theirs", "Theirs"])
    expect(section(page, "failed").locator(".section-news")).to_have_text("1 mine")


def test_a_reader_who_has_scrolled_stays_there_and_is_led_to_what_came_above(page: Page, site: Any) -> None:
    task_ids = [write_task(site, title=f"Task {number}") for number in range(60)]
    site.open()
    seen = row(page, task_ids[10])
    seen.scroll_into_view_if_needed()
    # The browser tells the page with the next frame what is in sight now.
    expect(page.locator(".chunk.in-sight").filter(has=seen)).to_have_count(1)
    before = seen.bounding_box()
    new = [write_task(site, title=f"New {number}") for number in range(2)]
    expect(page.locator("#above")).to_have_text("2 new above")
    assert seen.bounding_box() == before
    page.locator("#above").click()
    for task_id in new:
        expect(row(page, task_id)).to_be_in_viewport()
    expect(page.locator("#above")).to_be_hidden()


# Unread


def test_what_changed_since_a_task_was_open_is_unread(page: Page, site: Any) -> None:
    old = write_task(site, title="Old")
    other = write_task(site, title="Other")
    site.open()
    expect(page.locator(".row")).to_have_count(2)
    expect(unread(page)).to_have_count(0)  # on the first visit, everything counts as read
    # An event, another stage and a new task are news,
    push(site, "Old", "log")
    set_status(site, "Other", "failed")
    write_task(site, title="New")
    expect(unread(page)).to_have_text(["New", "Old", "Other"])
    expect(section(page, "in-progress").locator(".section-news")).to_have_text("2 new")
    # until the task is open,
    open_row(page, old)
    expect(unread(page)).to_have_text(["New", "Other"])
    push(site, "Old", "log", "log")
    expect(page.locator('[data-event-index="2"]')).to_be_visible()
    expect(unread(page)).to_have_text(["New", "Other"])
    # and a change of the title alone is none.
    site.tasks.update_one({"_id": ObjectId(old)}, {"$set": {"title": "Older"}})
    expect(row(page, old)).to_contain_text("Older")
    expect(unread(page)).to_have_text(["New", "Other"])
    page.keyboard.press("Escape")
    push(site, "Older", "log")
    expect(unread(page)).to_have_text(["New", "Older", "Other"])
    expect(row(page, other).get_by_role("img", name="New")).to_be_visible()


def test_a_search_for_what_is_unread_follows_the_marks(page: Page, site: Any) -> None:
    ids = [write_task(site, title=title) for title in ("A", "B", "C")]
    site.open()
    expect(page.locator(".row")).to_have_count(3)
    for title in ("A", "B", "C"):
        push(site, title, "log")
    expect(unread(page)).to_have_count(3)
    page.locator("#search").fill("is:unread")
    # A task that is read stays while it is open, and leaves once another is.
    open_row(page, ids[0])
    expect(unread(page)).to_have_text(["C", "B"])
    expect(page.locator(".row-title")).to_have_text(["C", "B", "A"])
    open_row(page, ids[1])
    expect(page.locator(".row-title")).to_have_text(["C", "B"])
    section(page, "in-progress").get_by_role("button", name="as read").click()
    page.mouse.move(900, 10)
    expect(page.locator(".row-title")).to_have_text(["B"])
    # What changes is there again.
    push(site, "A", "log")
    expect(page.locator(".row-title")).to_have_text(["B", "A"])
    page.keyboard.press("Escape")
    expect(page.locator(".row-title")).to_have_text(["A"])


def test_what_is_unread_survives_a_reload_and_what_came_in_between_is_added(page: Page, site: Any) -> None:
    read = write_task(site, title="Read")
    for title in ("Changed", "Untouched"):
        write_task(site, title=title)
    site.open()
    expect(page.locator(".row")).to_have_count(3)
    for title in ("Read", "Changed"):
        push(site, title, "log")
    expect(unread(page)).to_have_count(2)
    open_row(page, read)
    expect(unread(page)).to_have_text(["Changed"])
    page.goto("about:blank")
    write_task(site, title="In between")
    push(site, "Read", "log")
    site.open()
    expect(unread(page)).to_have_text(["In between", "Changed", "Read"])


def test_a_task_that_is_read_in_one_tab_is_read_in_the_others(page: Page, site: Any) -> None:
    task_id = write_task(site, title="Read")
    write_task(site, title="Unread")
    site.open()
    other = page.context.new_page()
    site.open(page=other)
    for title in ("Read", "Unread"):
        push(site, title, "log")
    for tab in (page, other):
        expect(unread(tab)).to_have_count(2)
    open_row(other, task_id)
    for tab in (other, page):
        expect(unread(tab)).to_have_text(["Unread"])
    other.close()


def test_all_of_a_section_can_be_marked_as_read(page: Page, site: Any) -> None:
    site.open()
    # What is in the first list counts as read.
    expect(page.locator("#notice")).to_contain_text("No tasks yet")
    for title, status in (("A", "failed"), ("B", "failed"), ("C", "merged")):
        write_task(site, title=title, status=status)
    expect(unread(page)).to_have_text(["B", "A", "C"])
    section(page, "failed").get_by_role("button", name="as read").click()
    expect(unread(page)).to_have_text(["C"])
    expect(section(page, "failed").locator(".section-news")).to_have_text("2 mine")
    expect(section(page, "failed").get_by_role("button", name="as read")).to_have_count(0)
    until(lambda: len((remembered(page, MARKS) or {"read": []})["read"]) == 3, "the marks are remembered")
    page.reload()
    expect(unread(page)).to_have_text(["C"])


def test_another_user_of_the_browser_has_marks_of_their_own(page: Page, site: Any) -> None:
    write_task(site, title="Shared", members=["carol"])
    site.open()
    expect(page.locator(".row")).to_have_count(1)
    push(site, "Shared", "log")
    expect(unread(page)).to_have_count(1)
    site.open("carol")
    expect(page.locator(".row")).to_have_count(1)
    expect(unread(page)).to_have_count(0)
    site.open()
    expect(unread(page)).to_have_count(1)


def test_the_page_works_in_a_browser_that_refuses_to_remember(site: Any) -> None:
    page = site.another()
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('', 'SecurityError') }})"
    )
    task_id = write_task(site, title="Old")
    site.open(page=page)
    expect(row(page, task_id)).to_be_visible()
    push(site, "Old", "log")
    expect(unread(page)).to_have_text(["Old"])
    open_row(page, task_id)
    expect(unread(page)).to_have_count(0)


# Since you looked


def come_back_after(page: Page, minutes: int) -> str:
    """Reload the page as if its reader had last looked that long ago. Returns that time of day."""
    wait_until_remembered(page, STAYS)
    page.add_init_script(
        f"""if (!sessionStorage.lookedAt) {{
          sessionStorage.lookedAt = Date.now() - {minutes * MINUTE_MS};
          const last = Number(sessionStorage.lookedAt);
          localStorage.setItem("{LOOK}", JSON.stringify({{since: last - {MINUTE_MS}, last}}));
        }}"""
    )
    page.reload()
    time_of_day: str = page.evaluate(
        """new Intl.DateTimeFormat("en", {hour: "2-digit", minute: "2-digit", hourCycle: "h23"})
          .format(Number(sessionStorage.lookedAt))"""
    )
    return time_of_day


def test_a_reader_who_was_away_is_told_what_happened(page: Page, site: Any) -> None:
    then = datetime.now(UTC) - timedelta(hours=1)
    times = {"createdAt": then, "updatedAt": then}
    for title in ("Asked", "Broken", "Done", "Moved", "Logged"):
        write_task(site, title=title, status="analyzing", **times)
    write_task(site, title="Failed before", status="failed", **times)
    site.open()
    expect(page.locator(".row")).to_have_count(6)
    expect(page.locator("#away")).to_be_hidden()
    expect(page.locator("#since")).to_contain_text("Nothing needs you.")
    # When some tasks change, and the reader comes back after a while,
    for title, status in (("Done", "merged"), ("Broken", "failed"), ("Asked", "clarification_needed")):
        set_status(site, title, status)
        expect(page.locator(f'.row:has([data-status="{status}"])').filter(has_text=title)).to_be_visible()
    set_status(site, "Moved", "dispatched")
    push(site, "Logged", "log")
    looked_at = come_back_after(page, 40)
    # then the page says what came to need the reader, failed and was completed, newest first,
    button = page.locator("#away")
    expect(button).to_have_text(f"3 since {looked_at}")
    for place in ("#since", "#since-away"):
        links = page.locator(f"{place} .since-item a")
        expect(links).to_have_text(["Asked", "Broken", "Done"])
    expect(page.locator("#since")).to_contain_text("You were away for 40 minutes; 3 tasks changed.")
    expect(page.locator("#since")).to_contain_text("One task needs you.")
    expect(page.locator("#since [data-day=completed]")).to_have_text("1")
    # and leads there. Once it was seen, the header does not say it again.
    button.click()
    page.locator("#since-away").get_by_role("link", name="Broken").click()
    expect(detail(page, str(site.tasks.find_one({"title": "Broken"})["_id"]))).to_be_visible()
    expect(page.locator("#since-away")).to_be_hidden()
    expect(button).to_be_hidden()
    page.reload()
    expect(page.locator("[data-section=failed] .row")).to_have_count(2)
    expect(button).to_be_hidden()


def test_a_short_absence_is_none(page: Page, site: Any) -> None:
    write_task(site, title="Done")
    site.open()
    set_status(site, "Done", "merged")
    expect(titles(page, "completed")).to_have_text(["Done"])
    come_back_after(page, 3)
    expect(titles(page, "completed")).to_have_text(["Done"])
    expect(page.locator("#since")).to_be_visible()
    expect(page.locator("#away")).to_be_hidden()


def test_a_page_that_was_hidden_for_long_says_what_happened_meanwhile(site: Any) -> None:
    page = site.another(is_new=True)
    page.clock.install()
    write_task(site, title="Done")
    site.open(page=page)
    expect(page.locator(".row")).to_have_count(1)
    page.clock.run_for(10_000)
    set_hidden(page, True)
    page.clock.run_for(10 * MINUTE_MS)
    page.wait_for_selector('[data-connection="live"]')
    set_status(site, "Done", "failed")
    until(
        lambda: page.locator("[data-section=failed][data-count='1']").count() == 1, "the page has the change"
    )
    set_hidden(page, False)
    expect(page.locator("#away")).to_contain_text("1 since")


def test_a_hidden_page_knows_when_tasks_came_where_they_are(page: Page, site: Any) -> None:
    # Given a hidden page, for which the browser makes no frames,
    task_id = write_task(site, title="Broken")
    site.open()
    expect(row(page, task_id)).to_be_visible()
    page.evaluate("() => void (window.requestAnimationFrame = () => 1)")
    set_hidden(page, True)
    # when a task changes its section,
    set_status(site, "Broken", "failed")
    # then it is there since then, and not since the reader has come back.
    expect(row(page, task_id, "failed")).to_have_count(1)


def set_hidden(page: Page, hidden: bool) -> None:
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_the_page_says_it_in_german(site: Any) -> None:
    page = site.another(locale="de-DE")
    write_task(site, title="Fertig")
    site.open(page=page)
    expect(page.locator("#since")).to_contain_text("Nichts braucht Sie.")
    set_status(site, "Fertig", "merged")
    expect(titles(page, "completed")).to_have_text(["Fertig"])
    come_back_after(page, 20)
    expect(page.locator("#away")).to_contain_text("1 seit")
    expect(page.locator("#since")).to_contain_text(
        "Sie waren 20 Minuten weg; eine Aufgabe hat sich geändert."
    )


# Room


def test_the_list_is_as_wide_as_its_reader_dragged_it(site: Any) -> None:
    page = site.another(viewport={"width": 1440, "height": 900})
    site.open(page=page)
    divider = page.get_by_role("separator", name="Width of the list")

    def width() -> float:
        box = page.locator("#list").bounding_box()
        assert box is not None
        return box["width"]

    assert width() == 420
    # By mouse,
    page.mouse.move(420, 400)
    page.mouse.down()
    page.mouse.move(500, 420)
    page.mouse.move(560, 430)
    page.mouse.up()
    assert width() == 560
    # by keyboard,
    divider.focus()
    page.keyboard.press("ArrowLeft")
    assert width() == 544
    page.keyboard.press("Home")
    assert width() == 320
    expect(divider).to_have_attribute("aria-valuenow", "320")
    page.keyboard.press("ArrowRight")
    # and after a reload. A narrow window gets a narrower list, and gives the width back.
    page.reload()
    page.wait_for_selector('[data-connection="live"]')
    until(lambda: width() == 336, "the width is remembered")
    divider.focus()
    page.keyboard.press("End")
    assert width() == 800
    page.set_viewport_size({"width": 1200, "height": 900})
    until(lambda: width() == 720, "the task keeps its room")
    page.set_viewport_size({"width": 1440, "height": 900})
    until(lambda: width() == 800, "the list has its width again")


@pytest.mark.parametrize("width", [390, 720, 1024, 1440])
def test_no_row_and_no_head_of_a_section_is_cut_or_has_a_hole(site: Any, width: int) -> None:
    page = site.another(viewport={"width": width, "height": 800}, locale="de-DE")
    links = {
        "issueUrl": "https://example.com/1",
        "issueNumber": 1234,
        "prUrl": "https://example.com/2",
        "prNumber": 5678,
    }
    statuses = ("analyzing", "pr_opened", "clarification_needed", "failed", "merged")
    for number in range(1050):
        creator = "alice" if number % 2 else "somebody.with.a.long.name"
        site.tasks.insert_one(
            {
                "title": f"Task {number}",
                "createdBy": creator,
                "members": ["alice"],
                "status": statuses[number % 5],
            }
            | links
        )
    site.open(page=page)
    expect(section(page, "completed")).to_have_attribute("data-count", "210")
    for status in statuses:
        write_task(site, title="New", status=status, createdBy="bob", members=["alice"], **links)
    expect(section(page, "completed").locator(".section-news")).to_have_text("1 neu")
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".section .count, .section-news, .row .badge, .row .refs, .age")]
          .filter((part) => part.checkVisibility() && part.scrollWidth > part.clientWidth + 1)
          .map((part) => part.outerHTML)"""
    )
    assert cut == []
    apart = page.evaluate(
        """() => [...document.querySelectorAll(".row")].slice(0, 20).map((row) => {
          const [badge, by] = [".badge", ".creator"].map((part) => row.querySelector(part).getBoundingClientRect());
          return by.width === 0 ? 0 : by.left - badge.right;
        })"""
    )
    assert max(apart) < 220
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_window_shows_the_list_and_the_task_or_one_of_them(page: Page, site: Any) -> None:
    task_id = write_task(site)
    page.set_viewport_size({"width": 1100, "height": 800})
    site.open()
    expect(row(page, task_id)).to_be_visible()
    expect(page.locator("#since")).to_be_visible()
    open_row(page, task_id)
    expect(row(page, task_id)).to_be_visible()
    expect(page.locator("#since")).to_be_hidden()
    page.set_viewport_size({"width": 1099, "height": 800})
    expect(page.locator("#list")).to_be_hidden()
    expect(page.locator("#divider")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(row(page, task_id)).to_be_visible()
    expect(page.locator("#detail")).to_be_hidden()

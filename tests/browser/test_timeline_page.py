"""The timeline of the open task: what folds, what is said beside it, and that nothing moves while it is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dashboard import SOON_MS, entry, open_row, push, until, write_task
from page_clocks import COPIED_MS, hold_timers
from playwright.sync_api import Locator, Page, expect
from test_many import measured
from timeline_events import TRACEBACK, digest, realistic

SCREEN = {"width": 1440, "height": 900}


def logs(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"type": "log", "message": f"line {n}"} | fields for n in range(count)]


def open_task(site: Any, events: list[Any], page: Page | None = None, **fields: Any) -> Page:
    """Open a task with these events, and return its page."""
    task_id = write_task(site, events=events, **fields)
    page = site.open(page=page)
    open_row(page, task_id)
    return page


def top_of(locator: Locator) -> float:
    return float(locator.evaluate("element => element.getBoundingClientRect().top"))


def scroll_up(page: Page, px: int = 500) -> None:
    """Scroll with the wheel, and wait until the page knows that the reader has left the end."""
    page.locator(".timeline").hover()
    page.mouse.wheel(0, -px)
    expect(page.locator(".timeline:not(.following)")).to_be_visible()


def test_a_run_of_one_type_folds_into_its_last_event_and_unfolds(page: Page, site: Any) -> None:
    events = [{"type": "created"}, *logs(5), {"type": "pr_opened"}, {"type": "pr_opened"}]
    open_task(site, events)
    expect(entry(page, 5)).to_contain_text("× 5")
    for hidden in (1, 2, 3, 4):
        expect(entry(page, hidden)).to_be_hidden()
    for shown in (0, 5, 6, 7):
        expect(entry(page, shown)).to_be_visible()
    # The button stays where it was pressed.
    before = top_of(entry(page, 5).locator(".entry-fold"))
    entry(page, 5).locator(".entry-fold").click()
    expect(entry(page, 3)).to_be_visible()
    button = entry(page, 1).locator(".entry-fold")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(button).to_be_focused()
    assert abs(top_of(button) - before) <= 1
    page.keyboard.press("Enter")
    expect(entry(page, 3)).to_be_hidden()
    expect(entry(page, 5).locator(".entry-fold")).to_be_focused()


def test_an_error_or_a_question_is_never_folded_away(page: Page, site: Any) -> None:
    failing = [
        {"type": "log", "message": "all is lost", "level": "error"},
        {"type": "log", "questions": ["Why?"]},
    ]
    open_task(site, [*logs(3), *failing, *logs(3), {"type": "build_failed"}, {"type": "build_failed"}])
    for shown in (2, 3, 4, 7, 8, 9):
        expect(entry(page, shown)).to_be_visible()
    for hidden in (0, 1, 5, 6):
        expect(entry(page, hidden)).to_be_hidden()


def test_days_and_silences_are_said(page: Page, site: Any) -> None:
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=10)
    times = [
        today - timedelta(days=400),
        today - timedelta(days=1, minutes=-10),
        today - timedelta(days=1, minutes=-22, seconds=-59),
        today,
        today + timedelta(seconds=60),
    ]
    types = ["created", "log", "tool", "log", "comment"]
    open_task(site, [{"type": kind, "at": at.astimezone(UTC)} for kind, at in zip(types, times, strict=True)])
    expect(page.locator(".entry-day")).to_have_count(3)
    days = page.locator(".entry-day").all_text_contents()
    assert days[1:] == ["Yesterday", "Today"]
    assert str(times[0].year) in days[0]
    expect(entry(page, 2).locator(".entry-silence")).to_have_text("+12 min")
    expect(entry(page, 4).locator(".entry-silence")).to_have_count(0)
    expect(entry(page, 4).locator(".entry-time")).to_have_text("00:01:10")


def test_the_timeline_speaks_german(site: Any) -> None:
    page = site.another(locale="de-DE")
    now = datetime.now(UTC)
    events = [*logs(2, at=now - timedelta(minutes=3)), None, {"type": "tool", "at": now}, {"n": 1}]
    open_task(site, events, page, status="failed", error="x")
    expect(page.locator(".kind").first).to_have_text("Alle 5")
    expect(entry(page, 3).locator(".entry-silence")).to_have_text("+3 min")
    expect(entry(page, 2)).to_contain_text("Leer")
    page.keyboard.press("f")
    expect(page.get_by_role("searchbox", name="Im Verlauf suchen")).to_be_focused()


def test_new_events_move_nothing_that_is_being_read(page: Page, site: Any) -> None:
    events = [event for n in range(40) for event in ({"type": f"step_{n}"}, *logs(3))]
    open_task(site, events, title="Long")
    expect(entry(page, 159)).to_be_in_viewport()
    scroll_up(page)
    middle = entry(page, 100)
    expect(middle).to_be_in_viewport()
    before = top_of(middle)
    push(site, "Long", "log", "log", "log")
    expect(page.locator(".newer")).to_have_text("3 new events")
    assert abs(top_of(middle) - before) <= 1
    # The last line that the reader saw is there as before, and the new ones lie below it.
    expect(entry(page, 159)).to_contain_text("line 2")
    expect(entry(page, 159)).to_contain_text("× 3")
    expect(entry(page, 162)).to_contain_text("× 3")
    page.locator(".newer").click()
    expect(entry(page, 162)).to_be_in_viewport()
    expect(entry(page, 162)).to_contain_text("× 6")
    expect(entry(page, 159)).to_be_hidden()


def test_what_is_open_stays_open_and_in_place_when_the_timeline_is_sent_again(page: Page, site: Any) -> None:
    """After a reconnect the relay may send the whole timeline again; its events are other objects then."""
    events = [event for n in range(40) for event in ({"type": f"step_{n}", "n": n}, *logs(3))]
    open_task(site, events, title="Long")
    expect(entry(page, 159)).to_be_in_viewport()
    scroll_up(page, 400)
    entry(page, 127).locator(".entry-fold").click()
    entry(page, 128).click()
    expect(entry(page, 128).locator("pre")).to_be_visible()
    before = top_of(entry(page, 128))
    page.evaluate("window.kept = document.querySelector('[data-event-index=\"128\"]')")
    site.tasks.update_one({}, {"$set": {"events.0": {"type": "rewritten"}, "events.1": {"type": "tool"}}})
    expect(entry(page, 0)).to_contain_text("Rewritten")
    expect(entry(page, 1)).not_to_have_class("entry folded")
    assert abs(top_of(entry(page, 128)) - before) <= 1
    expect(entry(page, 128).locator("pre")).to_be_visible()
    expect(entry(page, 126)).to_be_visible()
    assert page.evaluate("window.kept.isConnected")
    # An event whose data is open stays in sight although others of its type follow it.
    page.keyboard.press("End")
    entry(page, 159).click()
    push(site, "Long", "log")
    expect(page.locator(".newer")).to_have_text("1 new event")
    page.keyboard.press("End")
    expect(entry(page, 160)).to_contain_text("× 4")
    expect(entry(page, 159).locator("pre")).to_be_visible()


def test_the_data_opens_by_a_click_on_the_line_and_not_by_selecting_text(page: Page, site: Any) -> None:
    open_task(
        site, [{"type": "deploy", "message": "Deployed to the test system", "data": {"region": "eu"}}, None]
    )
    expect(entry(page, 0).locator(".entry-text")).to_have_text("Deployed to the test system")
    box = entry(page, 0).locator(".entry-text").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 8, steps=5)
    page.mouse.up()
    assert page.evaluate("getSelection().toString()").startswith("Deployed")
    expect(entry(page, 0).locator("pre")).to_have_count(0)
    entry(page, 0).locator(".entry-kind").click()
    expect(entry(page, 0).locator("pre")).to_contain_text('"region": "eu"')
    entry(page, 0).locator("pre").click()
    expect(entry(page, 0).locator("pre")).to_be_visible()
    entry(page, 0).locator(".entry-kind").click()
    expect(entry(page, 0).locator("pre")).to_have_count(0)
    expect(entry(page, 1).locator(".entry-more")).to_have_count(0)


def test_one_tab_stop_leads_to_the_data_of_all_events(page: Page, site: Any) -> None:
    open_task(site, [{"type": f"step_{n}", "n": n} for n in range(30)])
    expect(page.locator('.entry-more[tabindex="0"]')).to_have_count(1)
    page.locator(".timeline").focus()
    page.keyboard.press("Tab")
    expect(entry(page, 29).locator(".entry-more")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(entry(page, 27).locator("pre")).to_be_visible()
    expect(entry(page, 27).get_by_role("button", name="Data of event 27")).to_have_attribute(
        "aria-expanded", "true"
    )
    expect(page.locator('.entry-more[tabindex="0"]')).to_have_count(1)


def test_the_key_tab_leads_through_one_line_and_one_type_of_a_long_timeline(page: Page, site: Any) -> None:
    text = f"{digest(1)} is at https://example.com/1"
    events = [{"type": kind, "message": text, "n": 1} for kind in ("log", "log", "tool") * 40]
    open_task(site, events)
    stops = page.locator(".entries :is(a, button)[tabindex='0']")
    expect(stops).to_have_count(3)  # copy the digest, follow the address, show the data
    expect(page.locator(".kinds [tabindex='0']")).to_have_text("All 120")
    page.locator(".kinds [tabindex='0']").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".kind:focus")).to_have_text("Log 80")
    expect(page.locator(".kinds [tabindex='0']")).to_have_text("Log 80")
    for _ in range(3):  # the button that finds, the timeline, and its line
        page.keyboard.press("Tab")
    expect(entry(page, 119).locator(".digest-copy")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(entry(page, 118).locator(".digest-copy")).to_be_focused()
    expect(stops).to_have_count(4)  # those of this line, and the one that unfolds it
    page.keyboard.press("Shift+Tab")
    expect(entry(page, 118).locator(".entry-fold")).to_be_focused()
    page.keyboard.press("Enter")
    expect(entry(page, 117).locator(".entry-fold")).to_be_focused()
    entry(page, 110).locator(".entry-more").focus()
    page.keyboard.press("Enter")
    expect(entry(page, 110).locator("pre")).to_be_visible()
    assert stops.count() == entry(page, 110).locator(":is(a, button)[tabindex='0']:not(.block *)").count()


def test_each_of_many_types_can_be_shown_alone(page: Page, site: Any) -> None:
    events = [{"type": f"step_{n % 40}"} for n in range(80)]
    open_task(site, [*events, {"type": "rare_incident", "message": "The one to find"}])
    page.locator(".kind").get_by_text("Rare incident").click()
    expect(page.locator(".entry:visible")).to_have_count(1)


def test_the_data_of_an_event_is_copied(page: Page, site: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_task(site, [{"type": "deploy", "data": {"region": "eu", "n": 3}}])
    expect(entry(page, 0).locator(".entry-text")).to_have_text("N 3 · Region eu")
    entry(page, 0).click()
    hold_timers(page, COPIED_MS)
    entry(page, 0).get_by_role("button", name="Copy").click()
    expect(entry(page, 0).get_by_role("button", name="Copied")).to_be_visible()
    assert '"region": "eu"' in page.evaluate("navigator.clipboard.readText()")


def test_the_events_of_one_type_are_shown_alone(page: Page, site: Any) -> None:
    events = [event for n in range(6) for event in (*logs(3), {"type": "tool", "n": n})]
    open_task(site, [*events, {"type": "comment", "text": "Fine."}], title="Mixed")
    kinds = page.locator(".kind")
    expect(kinds).to_have_text(["All 25", "Log 18", "Tool 6", "Comment 1"])
    kinds.get_by_text("Log").click()
    expect(page.locator(".entry:visible")).to_have_count(18)
    push(site, "Mixed", "tool", "log")
    expect(kinds).to_have_text(["All 27", "Log 19", "Tool 7", "Comment 1"])
    expect(page.locator(".entry:visible")).to_have_count(19)
    kinds.get_by_text("Log").click()
    expect(page.locator(".entry:visible")).to_have_count(15)


def test_find_leads_to_each_match_in_any_fold(page: Page, site: Any) -> None:
    events = [event for n in range(300) for event in ({"type": f"step_{n}"}, *logs(5))]
    events[8] = {"type": "log", "message": "The café is " + "far " * 200}
    events[700] = {"type": "log", "message": "x " * 300 + "a CAFE at the end"}
    events[1500] = {"type": "log", "message": "short", "details": {"where": "Cafe Central"}}
    open_task(site, events)
    expect(entry(page, len(events) - 1)).to_be_in_viewport()
    page.keyboard.press("f")
    page.keyboard.type("cafe")
    count = page.locator(".finder-count")
    # From the end, where the reader is, the nearest match is the last one.
    expect(count).to_have_text("3 of 3")
    expect(entry(page, 1500).locator("pre")).to_contain_text("Cafe Central")
    marked = "[...CSS.highlights.get('found')].map(String)"
    assert page.evaluate(marked) == ["Cafe"]
    page.keyboard.press("Enter")
    expect(count).to_have_text("1 of 3")
    expect(entry(page, 1500).locator("pre")).to_have_count(0)
    expect(entry(page, 8)).to_be_in_viewport()
    expect(entry(page, 8)).to_have_class("entry in-run found")
    page.keyboard.press("Enter")
    expect(count).to_have_text("2 of 3")
    expect(entry(page, 700).locator(".entry-text")).to_contain_text("a CAFE at the end")
    page.keyboard.press("Shift+Enter")
    expect(count).to_have_text("1 of 3")
    page.keyboard.press("Escape")
    expect(page.locator(".finder")).to_be_hidden()
    assert page.evaluate(marked) == []
    # Now the reader is at the beginning.
    page.keyboard.press("f")
    page.keyboard.type("step")
    expect(count).to_have_text(re.compile("^[12] of 299$"))
    page.keyboard.press("Escape")
    expect(page.locator("article.task")).to_be_visible()


def test_find_says_that_there_is_nothing_and_counts_what_comes(page: Page, site: Any) -> None:
    open_task(site, logs(3), title="Short")
    page.get_by_role("button", name="Find in the timeline").click()
    page.keyboard.type("late")
    expect(page.locator(".finder-count")).to_have_text("Not found")
    push(site, "Short", "late")
    expect(page.locator(".finder-count")).to_have_text("0 of 1")
    page.keyboard.press("Enter")
    expect(page.locator(".finder-count")).to_have_text("1 of 1")


def test_questions_are_a_numbered_list_and_a_traceback_keeps_its_form(page: Page, site: Any) -> None:
    long = TRACEBACK.replace("\n", "\n  x = 1\n", 4)
    events = [
        {"type": "questions_asked", "questions": ["Up?", {"question": "Down? See https://example.com/1."}]},
        {"type": "failed", "error": TRACEBACK},
        {"type": "tool", "message": "It broke", "traceback": long},
    ]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_task(site, events)
    items = entry(page, 0).locator("ol > li")
    expect(items).to_have_text(["Up?", "Down? See https://example.com/1."])
    assert items.first.evaluate("element => getComputedStyle(element).listStyleType") == "decimal"
    assert items.first.evaluate("element => getComputedStyle(element).marginInlineStart") != "0px"
    expect(items.last.get_by_role("link")).to_have_attribute("rel", "noopener noreferrer")
    expect(entry(page, 1).locator(".entry-text")).to_have_text("KeyError: 'half_up'")
    pre = entry(page, 1).locator("pre")
    assert pre.evaluate("element => element.innerText") == TRACEBACK
    assert pre.evaluate("element => getComputedStyle(element).whiteSpace") == "pre"
    # A longer one is folded after twelve lines.
    block = entry(page, 2).locator(".block")
    lines = len(long.split("\n"))
    height = block.locator("pre").evaluate("element => element.clientHeight")
    assert 12 * 18 <= height < 13 * 18
    block.get_by_role("button", name=f"Show all {lines} lines").click()
    assert block.locator("pre").evaluate("element => element.clientHeight") >= lines * 18
    hold_timers(page, COPIED_MS)
    block.get_by_role("button", name="Copy").click()
    expect(block.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == long


def test_a_digest_is_short_and_copied_as_a_whole(page: Page, site: Any) -> None:
    sha = digest("commit")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_task(site, [{"type": "commit_pushed", "message": f"Pushed {sha} to https://example.com/{sha}"}])
    found = entry(page, 0).locator(".digest")
    expect(found).to_have_count(1)
    expect(found).to_have_attribute("title", sha)
    narrow = found.evaluate("element => element.getBoundingClientRect().width")
    assert narrow < 90, "seven characters and the button"
    found.get_by_role("button").click()
    assert page.evaluate("navigator.clipboard.readText()") == sha
    entry(page, 0).locator(".entry-text").evaluate("element => getSelection().selectAllChildren(element)")
    page.keyboard.press("Control+c")
    until(
        lambda: (
            page.evaluate("navigator.clipboard.readText()") == f"Pushed {sha} to https://example.com/{sha}"
        ),
        "the selection is copied with the whole digest",
    )
    expect(entry(page, 0).locator("a")).to_have_attribute("href", f"https://example.com/{sha}")


def test_addresses_in_texts_are_links_and_markup_is_text(page: Page, site: Any) -> None:
    text = "<b>x</b> javascript:alert(1) https://example.com/a. ghp_" + "a" * 36
    open_task(site, [{"type": "log", "message": text}])
    expect(entry(page, 0).locator("a")).to_have_count(1)
    link = entry(page, 0).get_by_role("link", name="https://example.com/a")
    expect(link).to_have_attribute("target", "_blank")
    expect(entry(page, 0).locator(".redacted")).to_have_text("[redacted]")
    expect(entry(page, 0)).to_contain_text("<b>x</b> javascript:alert(1)")
    assert entry(page, 0).locator("b").count() == 0


def test_truncated_and_redacted_data_is_marked(page: Page, site: Any) -> None:
    events = [
        {"type": "huge", "blob": "x" * 1_200_000},
        {"type": "config", "message": "ready", "password": "hunter2"},
    ]
    open_task(site, events)
    expect(entry(page, 0)).to_contain_text("Too large to send (1.2 MB)")
    expect(entry(page, 0).locator(".entry-more")).to_have_count(0)
    entry(page, 1).locator(".entry-more").click()
    expect(entry(page, 1).locator("pre .redacted")).to_have_text("[redacted]")
    expect(entry(page, 1).locator("pre")).to_contain_text('"password": "[redacted]"')


def test_the_timeline_shows_a_rewrite(page: Page, site: Any) -> None:
    open_task(site, [{"type": f"old_{n}"} for n in range(5)], title="Rewritten")
    expect(entry(page, 4)).to_be_visible()
    site.tasks.update_one({}, {"$set": {"events": [{"type": "new"}, None, "plain"]}})
    expect(page.locator("[data-event-index]")).to_have_count(3)
    expect(entry(page, 2)).to_contain_text("plain")
    push(site, "Rewritten", "later")
    expect(entry(page, 3)).to_contain_text("Later")


def test_the_timeline_follows_its_end_and_elsewhere_counts_new_events(page: Page, site: Any) -> None:
    open_task(site, [{"type": f"step_{n}"} for n in range(60)], title="Long")
    expect(entry(page, 59)).to_be_in_viewport()
    push(site, "Long", "followed")
    expect(entry(page, 60)).to_be_in_viewport()
    scroll_up(page)
    expect(entry(page, 60)).not_to_be_in_viewport()
    push(site, "Long", "missed", "missed")
    expect(page.locator(".newer")).to_have_text("2 new events")
    expect(entry(page, 62)).not_to_be_in_viewport()
    page.locator(".newer").click()
    expect(entry(page, 62)).to_be_in_viewport()
    expect(page.locator(".newer")).to_be_hidden()


def test_nothing_is_offered_as_new_that_is_in_sight(page: Page, site: Any) -> None:
    open_task(site, [{"type": "first", "n": 1}], title="Short")
    entry(page, 0).click()
    push(site, "Short", "second")
    expect(entry(page, 1)).to_be_in_viewport()
    expect(page.locator(".newer")).to_be_hidden()


def test_the_timeline_has_exactly_the_events_of_a_burst(page: Page, site: Any) -> None:
    open_task(site, [], title="Burst")
    for n in range(200):
        push(site, "Burst", f"step {n // 2}")
    expect(page.locator("[data-event-index]")).to_have_count(200)
    texts = page.locator(".entry-text").all_text_contents()
    assert texts == [f"about step {n // 2}" for n in range(200)]
    expect(page.locator(".entry:visible")).to_have_count(100)


def test_a_timeline_of_thousands_of_events_starts_at_its_end(page: Page, site: Any) -> None:
    events = [{"type": f"log_{n % 2}", "message": f"line {n}"} for n in range(4000)] + logs(1000)
    open_task(site, events, title="Long")
    expect(entry(page, 4999)).to_be_in_viewport()
    expect(page.locator("[data-event-index]")).to_have_count(5000)
    expect(entry(page, 4999)).to_contain_text("× 1000")
    push(site, "Long", "one_more")
    expect(entry(page, 5000)).to_be_in_viewport()
    entry(page, 0).scroll_into_view_if_needed()
    expect(entry(page, 0)).to_contain_text("line 0")
    push(site, "Long", "out_of_sight")
    expect(page.locator(".newer")).to_have_text("1 new event")
    page.keyboard.press("End")
    expect(entry(page, 5001)).to_be_in_viewport()
    indices = page.evaluate(
        "[...document.querySelectorAll('[data-event-index]')].map((e) => +e.dataset.eventIndex)"
    )
    assert indices == list(range(5002))
    # The numbers have room: five digits do not reach the edge.
    box, pane = (
        entry(page, 5001).locator(".entry-index").bounding_box(),
        page.locator(".timeline").bounding_box(),
    )
    assert box is not None
    assert pane is not None
    assert box["x"] - pane["x"] >= 12


@pytest.mark.parametrize("width", [1440, 390])
def test_the_layout_holds_for_any_event(site: Any, width: int) -> None:
    page = site.another(viewport={"width": width, "height": 900})
    now = datetime.now(UTC)
    events = [
        None,
        {},
        {"type": "", "at": "no time"},
        "plain",
        7,
        ["a", "b"],
        {"type": "x" * 300, "message": "w" * 300, "at": now},
        {"type": "مرحبا", "message": "مرحبا بالعالم: إصلاح واجهة الدفع " * 10, "at": now},
        {"type": "emoji", "message": "🚀" * 300},
        {"type": "large", "message": "x" * 64_000},
        {"type": "large_error", "error": "  deep\n" * 9_000},
        {"type": "constructor", "message": "__proto__"},
    ]
    open_task(site, events, page)
    expect(page.locator("[data-event-index]")).to_have_count(len(events))
    expect(entry(page, 11)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    timeline = page.locator(".timeline")
    assert timeline.evaluate("element => element.scrollWidth === element.clientWidth")
    for index in (6, 7, 8):
        height = entry(page, index).evaluate("element => element.getBoundingClientRect().height")
        assert height <= (260 if width == 390 or index == 6 else 26)
    entry(page, 9).locator(".entry-more").click()
    expect(entry(page, 9).locator(".entry-text")).to_have_text("x" * 64_000)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_all_events_are_printed(page: Page, site: Any) -> None:
    events = [{"type": f"step_{n // 3}", "message": f"line {n}"} for n in range(600)]
    open_task(site, [*events, {"type": "failed", "error": TRACEBACK + "\n" + "more\n" * 40}])
    expect(entry(page, 600)).to_be_in_viewport()
    page.emulate_media(media="print")
    expect(page.locator(".entry:visible")).to_have_count(601)
    heights = page.evaluate(
        """() => [".timeline", ".task", "body", ".block pre"].map((name) => {
          const element = document.querySelector(name);
          return element.scrollHeight - element.clientHeight;
        })"""
    )
    assert all(hidden <= 1 for hidden in heights), "nothing is cut by a pane of its own height"
    expect(page.locator(".timeline-bar")).to_be_hidden()
    expect(page.locator("#list")).to_be_hidden()
    pdf = page.pdf(format="A4")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type /Page/") >= 8
    # The head: the whole id and exact times, and nothing to click on.
    said = """(selector) => getComputedStyle(document.querySelector(selector), "::after").content"""
    assert page.locator(".copy-id").get_attribute("title") in page.evaluate(said, ".copy-id")
    assert page.locator(".task-since").get_attribute("title") in page.evaluate(said, ".task-since")
    for clickable in (".task-action", ".copy-link", ".copy-id .icon", ".task-close"):
        expect(page.locator(f"article {clickable}")).to_be_hidden()


def test_the_whole_list_is_printed_and_nothing_to_click_on(page: Page, site: Any) -> None:
    site.tasks.insert_many(
        {"title": f"Task {n}", "createdBy": "alice", "status": "failed"} for n in range(90)
    )
    site.open()
    expect(page.locator(".row")).to_have_count(90)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 1000})
    assert page.evaluate("document.documentElement.scrollHeight") > 90 * 60
    expect(page.locator(".brand h1")).to_be_visible()
    for clickable in (".search", ".filters", "#connection", ".section-tools", "#divider", "#detail"):
        expect(page.locator(clickable).first).to_be_hidden()
    # 15 rows fit on a page of A4.
    pdf = page.pdf(format="A4")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type /Page/") >= 6


def test_three_hundred_events_fit_on_two_screens(site: Any, capsys: Any) -> None:
    page = site.another(viewport=SCREEN)
    open_task(site, realistic(300), page)
    expect(entry(page, 299)).to_be_in_viewport()
    entry(page, 0).evaluate("element => element.closest('.timeline').scrollTo(0, 0)")
    expect(entry(page, 0)).to_be_in_viewport()
    height = page.locator(".entries").evaluate("element => element.getBoundingClientRect().height")
    lines = page.locator(".entry:visible").count()
    with capsys.disabled():
        print(f"\n  300 events: {lines} lines, {height:.0f} px, {height / SCREEN['height']:.2f} screens")
    assert height <= 2 * SCREEN["height"]
    # A line is as high as the place that is kept for it while it is out of sight.
    heights = page.locator(".entry:visible").evaluate_all("all => all.map((e) => e.offsetHeight)")
    assert heights.count(24) >= 0.9 * lines, heights


CHANGES_PER_SECOND = 100
SECONDS = 5
WATCH_FRAMES = """() => {
  window.frames_ = [];
  const next = (now) => { frames_.push(now); requestAnimationFrame(next); };
  requestAnimationFrame(next);
}"""


def test_the_timeline_stays_smooth_with_a_hundred_changes_a_second(site: Any, capsys: Any) -> None:
    """Prints how many frames were late. What other work on the machine delays is in it, so it is no assertion."""
    page = site.another(viewport=SCREEN)
    open_task(site, realistic(300), page, title="Busy")
    expect(entry(page, 299)).to_be_in_viewport()
    page.evaluate(WATCH_FRAMES)
    cpu_ms = measured(page)
    started = datetime.now(UTC)
    for n in range(CHANGES_PER_SECOND * SECONDS):
        push(site, "Busy", ("log", "log", "log", "tool_call")[n % 4])
        rest = started + timedelta(seconds=n / CHANGES_PER_SECOND) - datetime.now(UTC)
        page.wait_for_timeout(max(0.0, rest.total_seconds() * 1000))
    expect(entry(page, 299 + CHANGES_PER_SECOND * SECONDS)).to_be_in_viewport(timeout=SOON_MS)
    gaps = page.evaluate("frames_.slice(1).map((at, n) => at - frames_[n])")
    late = [gap for gap in gaps if gap > 25]
    a_change_ms = cpu_ms() / (CHANGES_PER_SECOND * SECONDS)
    with capsys.disabled():
        print(f"\n  {len(gaps)} frames, {len(late)} late (over 25 ms), the longest {max(gaps):.0f} ms")
        print(f"  {a_change_ms:.2f} ms of CPU a change")

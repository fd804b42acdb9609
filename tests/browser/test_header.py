"""The header: its height depends on the width of the window alone, and nothing in it is cut off or pushed out."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard import connection, open_row, write_task
from playwright.sync_api import Page, expect
from support.relay_fixture import token

STATES = ("connecting", "live", "polling", "stale", "offline", "refused")
LONG = "Neue Verbindung in 120 Sekunden, und noch etwas mehr"  # longer than any text of the page
WIDE_ENOUGH = 920  # for the longest state of the connection, and for a button of short texts beside it
HEIGHTS = {1440: 48, 1024: 48, 700: 48, 390: 88, 320: 88}  # 700: also 1400 at a zoom of 200 %

OUTSIDE = """() => [...document.querySelectorAll(".top, .top > *, .top-find > *, .filter-button")]
  .filter((part) => getComputedStyle(part).display !== "contents" && part.checkVisibility())
  .filter((part) => !part.matches("[popover]"))
  .flatMap((part) => {
    const box = part.getBoundingClientRect();
    const top = document.querySelector(".top").getBoundingClientRect();
    return box.width && (box.right > innerWidth + .5 || box.left < -.5 || box.bottom > top.bottom + .5)
      ? [part.className || part.id] : [];
  })"""
OVERLAPS = """() => {
  const parts = [...document.querySelectorAll(".top > *, .top-find > *")]
    .filter((part) => !part.matches("[popover], .top-find"))
    .map((part) => [part.className || part.id, part.getBoundingClientRect()]).filter(([, box]) => box.width);
  return parts.flatMap(([name, a], at) => parts.slice(at + 1)
    .filter(([, b]) => a.left < b.right - .5 && b.left < a.right - .5 && a.top < b.bottom - .5 && b.top < a.bottom - .5)
    .map(([other]) => `${name} and ${other}`));
}"""

# The texts of the header that are not shown as a whole, with the button of a reader who was away.
CUT = """(told) => {
  const away = document.querySelector("#away");
  away.hidden = false;
  away.firstChild.textContent = told[0];
  away.dataset.short = told[1];
  const canvas = document.createElement("canvas").getContext("2d");
  const room = (element, style) => element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const found = [];
  for (const element of document.querySelectorAll(".top *")) {
    const isSeen = element.checkVisibility({ visibilityProperty: true });
    if (!isSeen || element.closest("[popover], .search-help, .unseen")) continue;
    const style = getComputedStyle(element);
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (own && element.getBoundingClientRect().width > 1) {
      const range = document.createRange();
      range.selectNodeContents(element);
      const { width } = range.getBoundingClientRect();
      for (let at = element; !at.matches(".top"); at = at.parentElement) {
        const of = getComputedStyle(at);
        const exact = at.getBoundingClientRect().width - at.offsetWidth;
        if (of.overflowX !== "visible" && width > room(at, of) + exact + .1) found.push(element.textContent);
      }
    }
    const said = [getComputedStyle(element, "::after").content.match(/^"(.+)"$/)?.[1], element.placeholder];
    for (const text of said.filter(Boolean)) {
      Object.assign(canvas, { font: style.font, letterSpacing: style.letterSpacing });
      const exact = element.getBoundingClientRect().width - element.offsetWidth;
      if (canvas.measureText(text).width > room(element, style) + exact + .1) found.push(text);
    }
  }
  return found;
}"""


def height(page: Page) -> float:
    measured: float = page.evaluate("document.querySelector('.top').getBoundingClientRect().height")
    return measured


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_header_never_changes_its_height(site: Any, language: str) -> None:
    task_id = write_task(site)
    site.tasks.insert_many({"title": "Done", "createdBy": "alice", "status": "merged"} for _ in range(152))
    page = site.another(viewport={"width": 1440, "height": 800})
    page.goto(f"{site.url}/?lang={language}")
    expect(connection(page, "offline")).to_be_visible()
    for width, wanted in HEIGHTS.items():  # signed out
        page.set_viewport_size({"width": width, "height": 800})
        assert height(page) == wanted
    page.goto(f"{site.url}/?lang={language}#token={token('alice')}")
    expect(page.locator('[data-filter="completed"] .count')).to_have_text("152")
    for width, wanted in HEIGHTS.items():
        page.set_viewport_size({"width": width, "height": 800})
        assert height(page) == wanted
        for state in STATES:
            for label in ("OK", LONG):
                page.evaluate(
                    """([state, label]) => {
                      document.querySelector("#connection").dataset.connection = state;
                      document.querySelector("#connection .chip-label").textContent = label;
                    }""",
                    [state, label],
                )
                assert height(page) == wanted, (width, state, label)
                assert page.evaluate(OUTSIDE) == [], (width, state, label)
                assert page.evaluate(OVERLAPS) == [], (width, state, label)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        completed = page.locator('[data-filter="completed"]')
        expect(completed.locator(".count")).to_be_in_viewport(ratio=1)  # "Completed 152" is not cut
    open_row(page, task_id)
    assert height(page) == HEIGHTS[320]
    site.stop()
    expect(page.locator("#banner")).to_be_visible()
    for width, wanted in HEIGHTS.items():
        page.set_viewport_size({"width": width, "height": 800})
        assert height(page) == wanted


def test_on_a_phone_the_search_lies_behind_a_button_in_a_header_of_two_lines(site: Any) -> None:
    page = site.another(viewport={"width": 390, "height": 800}, has_touch=True)
    wanted = write_task(site, title="Dark theme")
    write_task(site, title="Rate limits", status="failed")
    site.open(page=page)
    expect(page.locator(".row")).to_have_count(2)
    expect(page.locator("#search")).to_be_hidden()
    page.get_by_role("button", name="Search tasks").tap()
    expect(page.locator("#search")).to_be_focused()
    expect(page.locator(".filters")).to_be_hidden()
    assert height(page) == 88
    page.keyboard.type("dark")
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_role("button", name="Clear the search").tap()
    expect(page.locator(".row")).to_have_count(2)
    expect(page.locator("#search")).to_be_hidden()
    assert height(page) == 88

    # A section leads from an open task back to the list.
    open_row(page, wanted)
    expect(page.locator("#list")).to_be_hidden()
    page.locator('[data-filter="failed"]').tap()
    expect(page.locator("#list")).to_be_visible()
    expect(page.locator(".row")).to_have_count(1)


def test_no_text_of_the_header_is_cut_at_any_width(site: Any) -> None:
    site.tasks.insert_many({"title": "Done", "createdBy": "alice", "status": "merged"} for _ in range(1152))
    for language, told, state in (
        ("en", ["20 since 28 Nov, 19:40", "20 new"], "Reconnecting in 12 s"),
        ("de", ["20 seit 28. Nov., 19:40", "20 neu"], "Verbindet neu in 12 s"),
    ):
        page = site.another(viewport={"width": 1600, "height": 600})
        page.goto(f"{site.url}/?lang={language}#token={token('alice')}")
        expect(page.locator('[data-filter="completed"] .count')).to_have_text("1152")
        for width in (360, 390, 480, 640, 700, 720, 800, 840, 920, 980, 1080, 1100, 1180, 1240, 1360, 1600):
            page.set_viewport_size({"width": width, "height": 600})
            assert page.evaluate(CUT, told) == [], (language, width)
            assert page.evaluate(OVERLAPS) == [], (language, width)
            if width >= WIDE_ENOUGH:  # below, the end of the longest state is cut
                page.evaluate("(text) => document.querySelector('.chip-label').textContent = text", state)
                assert page.evaluate(CUT, told) == [], (language, width, state)
                assert page.evaluate(OVERLAPS) == [], (language, width, state)

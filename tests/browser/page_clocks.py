"""The clocks and timers of a page. Tests stop them where a busy machine may need longer than a page waits."""

from __future__ import annotations

from playwright.sync_api import Page

COPIED_MS = 1_500  # for this long the page says that it has copied something

STOP = """([clock, ms]) => {
  const now = globalThis[clock].now() + ms;
  globalThis[clock].now = () => now;
}"""
HOLD = """(held) => {
  const { setTimeout } = globalThis;
  globalThis.held = [];
  globalThis.setTimeout = (call, ms, ...rest) => {
    if (ms !== held) return setTimeout(call, ms, ...rest);
    globalThis.held.push(call);
    return 0;
  };
}"""


def stop_clock(page: Page, *, ahead_ms: int = 0) -> None:
    """Let the page measure no time from now on; its clock stands as far ahead."""
    page.evaluate(STOP, ["performance", ahead_ms])


def start_clock(page: Page) -> None:
    """Let the clock that was stopped go again."""
    page.evaluate("() => delete performance.now")


def stop_time_of_day(page: Page, *, ahead_ms: int = 0) -> None:
    """Let it stay the same time of day for the page, or one that is as far ahead."""
    page.evaluate(STOP, ["Date", ahead_ms])


def hold_timers(page: Page, ms: int) -> None:
    """Let the page's next timers of exactly this length never end."""
    page.evaluate(HOLD, ms)


def end_timers(page: Page) -> None:
    """End the timers that were held."""
    page.evaluate("() => held.splice(0).forEach((call) => call())")

"""Helpers of the dashboard's tests: write to the database, and find elements of the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page

SOON_MS = 30_000  # usually milliseconds; the bound is for a busy machine


def write_task(site: Any, **fields: Any) -> str:
    document = {"title": "A task", "createdBy": "alice", "status": "analyzing", "events": []} | fields
    return str(site.tasks.insert_one(document).inserted_id)


def push(site: Any, title: str, *types: str) -> None:
    events = [{"type": each, "message": f"about {each}"} for each in types]
    site.tasks.update_one({"title": title}, {"$push": {"events": {"$each": events}}})


def set_status(site: Any, title: str, status: str) -> None:
    site.tasks.update_one({"title": title}, {"$set": {"status": status}})


def connection(page: Page, state: str) -> Locator:
    return page.locator(f'[data-connection="{state}"]')


def row(page: Page, task_id: str, section: str | None = None) -> Locator:
    within = f'[data-section="{section}"] ' if section else ""
    return page.locator(f'{within}li[data-task-id="{task_id}"]')


def detail(page: Page, task_id: str) -> Locator:
    return page.locator(f'article[data-task-id="{task_id}"]')


def entry(page: Page, index: int) -> Locator:
    return page.locator(f'[data-event-index="{index}"]')


def open_row(page: Page, task_id: str) -> None:
    """Open a task with the keyboard, so that no pointer rests on the list."""
    row(page, task_id).locator(".row-title").press("Enter")
    detail(page, task_id).wait_for()


def try_now(page: Page) -> None:
    """Press the button of this name, unless the page has tried by itself in this moment and needs it no more."""
    page.evaluate("""() => [...document.querySelectorAll("button")]
      .find((button) => button.textContent.trim() === "Try now" && button.checkVisibility())?.click()""")


def until(seen: Callable[[], bool], what: str, *, within_s: float = 30) -> None:
    """Wait until a condition holds that no locator can express."""
    deadline = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.05)

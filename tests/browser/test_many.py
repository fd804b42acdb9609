"""The page with thousands of tasks and a burst of changes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from dashboard import row, until
from playwright.sync_api import Page, expect

STATUSES = ("analyzing", "dispatched", "pr_opened", "clarification_needed", "failed", "merged", "merged")
TASKS = 5000
CHANGES_PER_SECOND = 50
SECONDS = 6
LONG_MS = 100
CPU_MS_A_CHANGE = 20.0  # usually 5 or less; at fifty changes a second, 20 ms each would use the whole CPU
WATCH = """() => {
  window.longTasks = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((entry) => entry.duration)))
    .observe({type: "longtask"});
}"""


def test_the_page_stays_smooth_with_thousands_of_tasks_and_fifty_changes_a_second(
    page: Page, site: Any, capsys: Any
) -> None:
    rng = random.Random(1)
    now = datetime.now(UTC)
    task_ids = site.tasks.insert_many(
        {
            "title": f"Task {number}",
            "createdBy": "alice",
            "status": STATUSES[number % len(STATUSES)],
            "createdAt": now,
            "updatedAt": now,
            "prUrl": f"https://example.com/{number}",
            "prNumber": number,
        }
        for number in range(TASKS)
    ).inserted_ids
    site.open()
    completed = page.locator("[data-section=completed]")
    # The list grows in steps, each of which moves the button away.
    merged = sum(STATUSES[number % len(STATUSES)] == "merged" for number in range(TASKS))
    expect(completed).to_have_attribute("data-count", str(merged), timeout=60_000)
    completed.get_by_role("button", name="Show all").click()
    expect(page.locator(".row")).to_have_count(TASKS, timeout=60_000)
    page.wait_for_timeout(1000)  # wait until the work of loading is done
    page.evaluate(WATCH)
    cpu_ms = measured(page)
    started = time.monotonic()
    for number in range(CHANGES_PER_SECOND * SECONDS):
        change = {"status": rng.choice(STATUSES), "updatedAt": datetime.now(UTC)}
        event = {"$push": {"events": {"type": "log"}}}
        site.tasks.update_one({"_id": rng.choice(task_ids)}, {"$set": change} | event)
        time.sleep(max(0.0, started + number / CHANGES_PER_SECOND - time.monotonic()))
    over = [round(ms) for ms in page.evaluate("longTasks") if ms > LONG_MS]
    with capsys.disabled():
        print(f"\n  {len(over)} tasks over {LONG_MS} ms in {SECONDS} s: {over}")
    # Then the page shows the content of the database.
    last = str(task_ids[0])
    site.tasks.update_one({"_id": task_ids[0]}, {"$set": {"title": "The last change"}})
    expect(row(page, last)).to_contain_text("The last change")
    until(
        lambda: (
            page.locator("[data-section=failed] .count").text_content()
            == str(site.tasks.count_documents({"status": "failed"}))
        ),
        "the page counts as the database does",
    )
    a_change_ms = cpu_ms() / (CHANGES_PER_SECOND * SECONDS)
    with capsys.disabled():
        print(f"  {a_change_ms:.1f} ms of CPU a change")
    assert a_change_ms < CPU_MS_A_CHANGE


def measured(page: Page) -> Callable[[], float]:
    """The CPU time of the page's thread since now, in ms. Unlike the duration of tasks, it does not depend on how busy
    the machine is."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def cpu_ms() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")

    return cpu_ms


def test_every_row_is_shown_after_a_burst(page: Page, site: Any) -> None:
    site.open()
    for batch in range(10):
        site.tasks.insert_many({"title": f"{batch}/{n}", "createdBy": "alice"} for n in range(100))
    expect(page.locator(".row")).to_have_count(1000, timeout=60_000)
    titles = page.locator(".row-title").all_text_contents()
    assert titles == [task["title"] for task in site.tasks.find(sort=[("_id", -1)])]

"""A working day in two minutes: short tokens, three tabs, a sleep, and two hundred changes by writers."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dashboard import SOON_MS, connection, until
from office import Office, noted, working_office
from playwright.sync_api import Page, expect

RENEWALS = 12
CHANGES = 200
TASKS = 30
TOKEN_S = 12  # the client asks for the next token after about six seconds

# The section in which alice sees a task, by its status and its creator.
SECTIONS = {
    "created": "in-progress",
    "analyzing": "in-progress",
    "dispatched": "in-progress",
    "clarification_needed": "needs",
    "pr_opened": "needs",
    "failed": "failed",
    "merged": "completed",
}
COUNTS = """() => Object.fromEntries([...document.querySelectorAll("[data-section][data-count]")].map(
    (section) => [section.dataset.section, Number(section.dataset.count)],
))"""


def section_of(document: dict[str, Any]) -> str:
    section = SECTIONS[document["status"]]
    if section != "needs":
        return section
    return "needs-me" if document["createdBy"] == "alice" else "needs-others"


def expected(site: Any) -> dict[str, int]:
    """Count the tasks of each section in the documents."""
    counts = Counter(section_of(document) for document in site.tasks.find())
    return {name: count for name, count in counts.items() if count}


def shown(page: Page) -> dict[str, int]:
    """Return what the page says of each section."""
    return {name: count for name, count in page.evaluate(COUNTS).items() if count}


class Writers:
    """Two writers that change tasks one by one, and pause while somebody compares."""

    def __init__(self, site: Any) -> None:
        self._tasks = site.tasks
        self._turn = threading.Lock()
        self._over = threading.Event()
        self.written = 0

    def write(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self._over.wait(0.5):
            with self._turn:
                number = chance.randrange(TASKS)
                status = chance.choice(list(SECTIONS))
                event = {"type": "log", "message": f"change {self.written}"}
                self._tasks.update_one(
                    {"_id": f"task-{number}"}, {"$set": {"status": status}, "$push": {"events": event}}
                )
                self.written += 1

    @contextmanager
    def working(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.write, args=(seed,)) for seed in (1, 2)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def look(self, site: Any, *pages: Page) -> None:
        """Compare the counts of the pages with the documents, while nothing is written."""
        with self._turn:
            wanted = expected(site)
            for page in pages:
                until(lambda at=page: shown(at) == wanted, f"the page counts {wanted}")  # type: ignore[misc]
        pages[0].wait_for_timeout(100)  # the writers' turn


@pytest.mark.timeout(600)
def test_nobody_is_signed_out_and_every_count_is_right_on_a_day_with_short_tokens(
    site: Any, tmp_path: Path
) -> None:
    statuses = list(SECTIONS)
    site.tasks.insert_many(
        {
            "_id": f"task-{number}",
            "title": f"Task {number}",
            "createdBy": "alice" if number % 2 else "bob",
            "members": ["alice"],
            "status": statuses[number % len(statuses)],
            "events": [],
        }
        for number in range(TASKS)
    )
    with working_office(site, tmp_path) as office:
        office.app.ttl_s = TOKEN_S
        office.sign_in()
        tabs = [office.page, office.another_tab(), office.another_tab()]
        for tab in tabs:
            tab.goto(office.url)
            expect(connection(tab, "live")).to_be_visible()
        writers = Writers(site)
        with writers.working():
            writers.look(site, *tabs)
            asleep = tabs[2]
            while len(office.app.asked) < len(tabs) * RENEWALS / 2:
                writers.look(site, *tabs)
            sleep(office, asleep)
            while len(office.app.asked) < len(tabs) * (RENEWALS + 1) or writers.written < CHANGES:
                writers.look(site, *tabs[:2])
                if writers.written > CHANGES * 0.8:
                    wake(asleep)
            wake(asleep)
            for tab in tabs:
                expect(connection(tab, "live")).to_be_visible(timeout=3 * SOON_MS)
            writers.look(site, *tabs)
        print(
            f"a day: {len(office.app.asked)} tokens for {len(tabs)} tabs, {writers.written} changes, "
            f"pages said {sorted(set().union(*(noted(tab) for tab in tabs)))}"
        )
        for tab in tabs[:2]:
            assert noted(tab) == {"connecting", "live"}
        assert "sign-in" not in noted(asleep)


def sleep(office: Office, page: Page) -> None:
    """Freeze a tab as a browser does with one in the background, until `wake`."""
    frozen = office.page.context.new_cdp_session(page)
    frozen.send("Page.setWebLifecycleState", {"state": "frozen"})
    page.__dict__["frozen"] = frozen


def wake(page: Page) -> None:
    """Let a tab that sleeps continue."""
    frozen = page.__dict__.pop("frozen", None)
    if frozen is not None:
        frozen.send("Page.setWebLifecycleState", {"state": "active"})
        frozen.detach()

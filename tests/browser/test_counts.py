"""The counts of the sections are those of the documents, for each user, through any writes."""

from __future__ import annotations

import random
import re
from functools import partial
from typing import Any

import pytest
from dashboard import until, write_task
from playwright.sync_api import Page, Route, expect

ROUNDS, WRITES = 30, 6
PEOPLE = ("alice", "bob", "carol")
SECTIONS = ("needs-me", "needs-others", "in-progress", "failed", "completed")
STATUSES = ("analyzing", "clarification_needed", "dispatched", "pr_opened", "merged", "failed", "on hold")
SECTION_OF_STATUS = {"failed": "failed", "merged": "completed"}
COUNTS = """() => Object.fromEntries([...document.querySelectorAll("[data-section][data-count]")]
  .map(({ dataset }) => [dataset.section, Number(dataset.count)]))"""


def waits_for(task: dict[str, Any]) -> list[str]:
    """Those for whom a task with a review or with questions waits, as the default mapping says."""
    named = [task.get("reviewers"), task.get("assignee")] if task["status"] == "pr_opened" else []
    for one in named:
        if one:
            return one if isinstance(one, list) else [one]
    return [task["createdBy"]]


def expected(site: Any, user: str) -> dict[str, int]:
    """The counts of a user's list, from the documents."""
    counts = dict.fromkeys(SECTIONS, 0)
    for task in site.tasks.find({"$or": [{"createdBy": user}, {"members": user}]}):
        section = SECTION_OF_STATUS.get(task["status"], "in-progress")
        if task["status"] in ("clarification_needed", "pr_opened"):
            section = "needs-me" if user in waits_for(task) else "needs-others"
        counts[section] += 1
    return counts


def write(site: Any, chance: random.Random) -> None:
    """Make one change, as any writer could."""
    some = chance.sample(PEOPLE, chance.randint(0, 3))
    ids = [one["_id"] for one in site.tasks.find({}, {"_id": 1})]
    if not ids or chance.random() < 0.15:
        site.tasks.insert_one(
            {
                "title": f"Task {chance.random()}",
                "status": chance.choice(STATUSES),
                "createdBy": chance.choice(PEOPLE),
                "members": some,
                "events": [],
            }
        )
        return
    update: dict[str, Any] = chance.choice(
        [
            {"$set": {"status": chance.choice(STATUSES)}},
            {"$set": {"status": "pr_opened"}, "$push": {"events": {"type": "pr_opened"}}},
            {"$set": {"reviewers": some}},
            {"$push": {"reviewers": chance.choice(PEOPLE)}},
            {"$pull": {"reviewers": chance.choice(PEOPLE)}},
            {"$unset": {"reviewers": 1, "assignee": 1}},
            {"$set": {"assignee": chance.choice(PEOPLE)}},
            {"$set": {"createdBy": chance.choice(PEOPLE)}},
            {"$set": {"members": some}},
            {"$push": {"events": {"type": "note"}}},
        ]
    )
    if chance.random() < 0.05:
        site.tasks.delete_one({"_id": chance.choice(ids)})
    else:
        site.tasks.update_one({"_id": chance.choice(ids)}, update)


def shows(page: Page, counts: dict[str, int]) -> bool:
    return bool(page.evaluate(COUNTS) == counts)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_counts_of_two_users_are_those_of_the_documents_through_any_writes(
    page: Page, site: Any, seed: int
) -> None:
    chance = random.Random(seed)
    pages = {"alice": site.open("alice", page=page), "bob": site.open("bob", page=site.another())}
    for number in range(ROUNDS):
        for _ in range(WRITES):
            write(site, chance)
        if number == ROUNDS // 2:
            pages["bob"].reload()  # read again, the counts are the same
        for user, each in pages.items():
            counts = expected(site, user)
            if any(counts.values()):
                until(partial(shows, each, counts), f"seed {seed}, round {number}: {user} {counts}")


def test_a_list_that_is_not_whole_says_what_its_numbers_count(page: Page, site: Any) -> None:
    # Given a page that asks for at most two tasks, instead of five thousand,
    def asking_for_two(route: Route) -> None:
        answer = route.fetch()
        text = answer.text()
        assert "LIST_LIMIT = 5000" in text
        route.fulfill(response=answer, body=text.replace("LIST_LIMIT = 5000", "LIST_LIMIT = 2"))

    page.route("**/dashboard/app.js", asking_for_two)
    said = page.locator("#partial")
    # then it says nothing while it has all of them,
    write_task(site, title="First")
    site.open()
    expect(page.locator(".row")).to_have_count(1)
    expect(said).to_be_hidden()
    # and once there may be more, it does.
    for title in ("Second", "Third"):
        write_task(site, title=title)
    expect(page.locator(".row")).to_have_count(3)
    page.reload()
    expect(page.locator(".row")).to_have_count(2)
    expect(said).to_have_text(re.compile("the newest 2 tasks"))

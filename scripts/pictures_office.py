"""The tasks in the pictures: an office on some morning. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId

GIT = "https://git.example.com/shop"
TRACEBACK = """Traceback (most recent call last):
  File "worker/run.py", line 88, in run
    result = await self.build(task)
  File "worker/build.py", line 41, in build
    raise BuildFailed(code, self.log)
worker.errors.BuildFailed: npm ci ended with 1
  lockfile needs react@19.3.0, package.json wants 19.3.1"""
# Of each task: title, status, creator, reviewers, minutes in its stage, issue, pull request.
TASKS: tuple[tuple[str, str, str, tuple[str, ...], int, int | None, int | None], ...] = (
    ("Export invoices as PDF", "clarification_needed", "alice", (), 12, None, None),
    ("Remember the filter of the orders page", "pr_opened", "bob", ("alice",), 41, 403, 458),
    ("Send a reminder before a trial ends", "clarification_needed", "alice", (), 75, None, None),
    ("Show stock in the shopping list", "pr_opened", "alice", ("carol",), 9, 405, 460),
    ("Two-factor sign-in for partners", "clarification_needed", "carol", (), 33, None, None),
    ("Rotate the certificates of the staging cluster", "pr_opened", "erin", ("bob",), 62, 407, 462),
    ("Move the reports to the new warehouse", "clarification_needed", "bob", (), 130, None, None),
    ("Speed up the search for customers", "analyzing", "alice", (), 1, None, None),
    ("Translate the checkout into Dutch", "dispatched", "carol", (), 5, 410, None),
    ("Import addresses from the old shop", "dispatched", "bob", (), 18, 411, None),
    ("Retry webhooks that time out", "analyzing", "erin", (), 20, None, None),
    ("Warn before a discount makes a loss", "dispatched", "alice", (), 35, 413, None),
    ("Delete carts older than a year", "failed", "erin", (), 70, 415, None),
    ("Sort the wish list by price", "merged", "alice", (), 15, 416, 471),
    ("Say why a voucher was refused", "merged", "bob", (), 48, 417, 472),
    ("Compress the pictures of products", "merged", "carol", (), 90, 418, 473),
    ("Show the VAT of each line", "merged", "alice", (), 150, 419, 474),
    ("Search ignores accents", "merged", "erin", (), 200, 420, 475),
)
REVIEW = "Round the prices half up"
FAILED = "Upgrade the shop to React 19"


def tasks(now: datetime) -> list[dict[str, Any]]:
    """Return the documents of the collection, written in the hours before `now`."""
    return [_review(now), _failed(now), *(_task(now, *one) for one in TASKS)]


def _document(now: datetime, title: str, created: int, changed: int, **fields: Any) -> dict[str, Any]:
    """`created` and `changed`: minutes before now."""
    at = now - timedelta(minutes=created)
    return {
        "_id": ObjectId.from_datetime(at),
        "title": title,
        "createdAt": at,
        "updatedAt": now - timedelta(minutes=changed),
        "members": ["alice", "bob", "carol", "erin"],
    } | fields


def _task(
    now: datetime,
    title: str,
    status: str,
    creator: str,
    reviewers: tuple[str, ...],
    minutes: int,
    issue: int | None,
    pull: int | None,
) -> dict[str, Any]:
    fields: dict[str, Any] = {"status": status, "createdBy": creator}
    if reviewers:
        fields["reviewers"] = list(reviewers)
    if issue is not None:
        fields |= {"issueUrl": f"{GIT}/issues/{issue}", "issueNumber": issue}
    if pull is not None:
        fields |= {"prUrl": f"{GIT}/pull/{pull}", "prNumber": pull}
    event = {"type": status, "at": now - timedelta(minutes=minutes)}
    # Ids of one second differ in the rest; the minutes in between make the order of the list.
    return _document(now, title, minutes + 45, minutes, events=[event], **fields)


def _events(now: datetime, *written: tuple[float, str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each event: minutes before now, type, data."""
    return [
        {"type": type_, "at": now - timedelta(minutes=minutes), **data} for minutes, type_, data in written
    ]


def _review(now: datetime) -> dict[str, Any]:
    questions = ["Round per line or per invoice?", "Half up, or to even as the accounts do?"]
    answer = f"Per line, half up. The export follows the invoice: {GIT}/wiki/rounding"
    sha = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    return _document(
        now,
        REVIEW,
        97,
        4,
        status="pr_opened",
        createdBy="alice",
        reviewers=["alice", "erin"],
        issueUrl=f"{GIT}/issues/401",
        issueNumber=401,
        prUrl=f"{GIT}/pull/456",
        prNumber=456,
        events=_events(
            now,
            (96, "analysis_started", {"message": "Reading the request."}),
            (95.5, "log", {"message": "14 places round a price."}),
            (95, "log", {"message": "3 of them round a sum."}),
            (94.2, "log", {"message": "The tests cover only the invoice."}),
            (93, "questions_asked", {"questions": questions}),
            (52, "comment", {"author": "alice", "text": answer}),
            (51, "dispatched", {"message": "A worker has taken it.", "issueNumber": 401}),
            (50, "tool", {"message": "ran rg round("}),
            (48, "tool", {"message": "ran pytest tests/prices"}),
            (46.4, "tool", {"message": "ran ruff check"}),
            (44, "commit", {"message": "Round each line half up", "sha": sha}),
            (43, "commit", {"message": "Let the export take the sums of the invoice", "sha": sha[::-1]}),
            (26, "log", {"message": "Build 1181 passed in 6 min 3 s."}),
            (24, "log", {"message": "Build 1182 passed in 5 min 41 s."}),
            (4, "pr_opened", {"message": "Round the prices half up, per line", "prNumber": 456}),
        ),
    )


def _failed(now: datetime) -> dict[str, Any]:
    return _document(
        now,
        FAILED,
        210,
        26,
        status="failed",
        createdBy="alice",
        error=TRACEBACK,
        events=_events(
            now,
            (209, "analysis_started", {"message": "Reading the request."}),
            (200, "dispatched", {"message": "A worker has taken it."}),
            (62, "tool", {"message": "ran npm outdated"}),
            (60, "tool", {"message": "ran npm ci"}),
            (26, "failed", {"error": TRACEBACK}),
        ),
    )

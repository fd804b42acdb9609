"""A timeline as an agent writes it: the lifecycle, and between its stages logs, tool calls, comments and commits."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any

LOGS = (
    "Reading the request.",
    "Looking for where prices are rounded.",
    "Found 12 callers of `round_price`; 3 of them round twice.",
    "Installing the dependencies, see https://example.com/builds/4711.",
    "Running the tests of the module that changed.",
    "281 passed, 2 skipped in 14.2 s",
)
TOOLS = ("read_file", "search", "run_tests", "edit_file")
COMMENTS = (
    "Half up, as in the contract. Please keep the old totals for invoices that were sent.",
    "Does this change the export, too?\nIf so, tell the warehouse before it is merged.",
)
TRACEBACK = """Traceback (most recent call last):
  File "/app/invoices/export.py", line 41, in export
    totals = [round_price(line.net, line.tax) for line in invoice.lines]
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/app/invoices/export.py", line 41, in <listcomp>
    totals = [round_price(line.net, line.tax) for line in invoice.lines]
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/app/invoices/prices.py", line 9, in round_price
    return net.quantize(CENT, rounding=MODES[mode])
                                       ~~~~~^^^^^^
  File "/usr/lib/python3.11/enum.py", line 712, in __getitem__
    return cls._member_map_[name]
           ~~~~~~~~~~~~~~~~^^^^^^
KeyError: 'half_up'"""


def realistic(count: int, *, seed: int = 1) -> list[dict[str, Any]]:
    """As many events, the last of them now."""
    rng = random.Random(seed)
    events: list[dict[str, Any]] = [{"type": "created", "message": "Created from the inbox of the shop."}]
    ends = [
        {"type": "commit_pushed", "branch": "fix/rounding", "sha": digest("last")},
        {"type": "pr_opened", "message": "Opened https://example.com/shop/pulls/9", "prNumber": 9},
    ]
    middle: list[dict[str, Any]] = []
    stages = [
        {"type": "analysis_started", "message": "Reading the request."},
        {
            "type": "questions_asked",
            "questions": ["Round half up, or half to even?", "Per line, or per invoice?"],
        },
        {"type": "dispatched", "message": "Dispatched to worker 3", "worker": {"id": 3, "region": "eu"}},
        {"type": "build_failed", "message": "The export fails.", "traceback": TRACEBACK},
    ]
    while len(middle) < count - len(events) - len(ends):
        for stage in stages[:1]:
            middle.append(stage)
        stages = stages[1:] if rng.random() < 0.9 else stages
        middle += [{"type": "log", "message": rng.choice(LOGS)} for _ in range(rng.randint(4, 14))]
        middle += [
            {
                "type": "tool_call",
                "data": {"tool": rng.choice(TOOLS), "args": {"path": "invoices/prices.py"}, "ms": 40},
            }
            for _ in range(rng.randint(3, 9))
        ]
        if rng.random() < 0.5:
            middle.append({"type": "comment", "text": rng.choice(COMMENTS), "author": "erin"})
        if rng.random() < 0.4:
            middle.append({"type": "commit_pushed", "branch": "fix/rounding", "sha": digest(len(middle))})
    events += middle[: count - len(events) - len(ends)] + ends
    pauses = [
        rng.choice((4, 7, 12, 45, 90)) * 60 if rng.random() < 0.07 else rng.randint(1, 20) for _ in events
    ]
    at = datetime.now(UTC) - timedelta(seconds=sum(pauses))
    for event, pause in zip(events, pauses, strict=True):
        at += timedelta(seconds=pause)
        event["at"] = at
    return events


def digest(of: object) -> str:
    return hashlib.sha1(str(of).encode(), usedforsecurity=False).hexdigest()

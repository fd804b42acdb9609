"""What statuses and types of events mean: the relay's default mapping. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from relay.protocol.types import Kind

EVENT_TYPES: dict[Kind, tuple[str, ...]] = {
    Kind.ANALYZING: ("analyzing", "analysis_started", "llm_started"),
    Kind.CLARIFICATION_NEEDED: ("clarification_needed", "needs_clarification", "questions_asked"),
    Kind.DISPATCHED: ("dispatched", "issue_created"),
    Kind.PR_OPENED: ("pr_opened", "pull_request_opened"),
    Kind.PR_MERGED: ("pr_merged", "merged", "pull_request_merged"),
    Kind.FAILED: ("failed", "error", "task_failed"),
}
STATUSES: dict[Kind, tuple[str, ...]] = {
    Kind.ANALYZING: ("analyzing",),
    Kind.CLARIFICATION_NEEDED: ("clarification_needed", "needs_clarification"),
    Kind.DISPATCHED: ("dispatched",),
    Kind.PR_OPENED: ("pr_opened", "in_review"),
    Kind.PR_MERGED: ("merged", "pr_merged"),
    Kind.FAILED: ("failed",),
}
# The stages in which a task waits for its creator, unless it names somebody else.
WAITING = frozenset({Kind.CLARIFICATION_NEEDED, Kind.PR_OPENED, Kind.FAILED})


def snake(name: str) -> str:
    """Return the normal form of a name, as the relay compares names: `prOpened` and `pr-opened` become `pr_opened`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    joined = re.sub(r"[^a-z0-9]+", "_", words).strip("_")
    return joined if joined == "task_" else joined.removeprefix("task_")


def _by_name(table: Mapping[Kind, tuple[str, ...]]) -> dict[str, Kind]:
    return {snake(name): kind for kind, names in table.items() for name in names}


_BY_EVENT_TYPE = _by_name(EVENT_TYPES)
_BY_STATUS = _by_name(STATUSES)


def kind_of_event(event: Mapping[str, object]) -> Kind | None:
    """Return the lifecycle message of an event's type; None if it has none."""
    return _BY_EVENT_TYPE.get(snake(str(event["type"])))


def kind_of_status(status: object) -> Kind | None:
    """Return the lifecycle message of a status; None if it has none."""
    return _BY_STATUS.get(snake(status)) if isinstance(status, str) else None

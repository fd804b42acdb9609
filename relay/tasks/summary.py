"""The summary of a task, which lists and headers show, from the task's document. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from relay.protocol.types import KINDS, STAGES, Kind
from relay.tasks.mapping import Mapping
from relay.tasks.paths import Document, fields_of, first_present
from relay.tasks.redact import CUT_MARGIN, Redactor
from relay.tasks.scalars import bounded, moment, number, snake, text

Summary = dict[str, Any]  # a protocol.TaskSummary
MAX_QUESTIONS = 100
PARTS = (
    "title",
    "creator",
    "status",
    "createdAt",
    "updatedAt",
    "issueUrl",
    "issueNumber",
    "prUrl",
    "prNumber",
    "mergeCommitSha",
    "error",
    "questions",
)


class Summaries:
    """Makes the summaries of one deployment. Strings are redacted, and cut to `max_text` characters."""

    def __init__(self, mapping: Mapping, redactor: Redactor, max_text: int) -> None:
        self._paths = {name: getattr(mapping.fields, name) for name in PARTS}
        self._roots = {name: roots(paths) for name, paths in self._paths.items()}
        self._stages = {status: STAGES[kind] for status, kind in mapping.statuses.items()}
        self._redactor = redactor
        self._max_text = max_text

    def of(self, task_id: str, document: Document, length: int) -> Summary:
        """The summary of a document; `length` is that of its timeline."""
        summary: Summary = {"taskId": task_id, "eventCount": length}
        for name, paths in self._paths.items():
            self._put(summary, name, self.part(name, first_present((document,), paths)))
        return summary

    def after(self, before: Summary, differing: set[str], document: Document, length: int) -> Summary:
        """The summary after a change. Only the parts that read one of the `differing` top-level fields are computed;
        the others come from the summary before."""
        summary: Summary = {"taskId": before["taskId"], "eventCount": length}
        for name, paths in self._paths.items():
            if self._roots[name].isdisjoint(differing):
                value = before.get(name)
            else:
                value = self.part(name, first_present((document,), paths))
            self._put(summary, name, value)
        return summary

    def _put(self, summary: Summary, name: str, value: Any) -> None:
        """Add one part to a summary, and behind the status its stage. A missing value adds nothing."""
        if value is None:
            return
        summary[name] = value
        if name == "status" and (stage := self._stages.get(snake(value))) is not None:
            summary["stage"] = stage

    def part(self, name: str, value: Any) -> Any:
        """One part of a summary, in the type that the wire promises, or None if the value does not have it."""
        value = fields_of(value)
        match name:
            case "issueNumber" | "prNumber":
                return number(value)
            case "createdAt" | "updatedAt":
                return moment(value)
            case "questions":
                return self._questions(value)
            case "error" if isinstance(value, dict):
                return self._text(first_present((value,), ("message", "error", "reason")))
            case _:
                return self._text(value)

    def _text(self, value: Any) -> str | None:
        found = text(value)
        if found is None:
            return None
        return self._redactor.beginning(bounded(found, self._max_text + CUT_MARGIN), self._max_text)

    def _questions(self, value: Any) -> list[str] | None:
        listed = value if isinstance(value, list) else [value]
        shown = [
            question
            for item in listed[:MAX_QUESTIONS]
            if (question := self._text(_question(item))) is not None
        ]
        return shown or None


def kind_of(summary: Summary) -> Kind | None:
    """The lifecycle message of the status in this summary; None if the mapping does not list the status."""
    return KINDS.get(summary.get("stage", ""))


def roots(paths: Iterable[str]) -> frozenset[str]:
    """The top-level fields that these dotted paths begin with."""
    return frozenset(path.split(".")[0] for path in paths)


def _question(item: Any) -> Any:
    item = fields_of(item)
    return first_present((item,), ("question", "text", "message")) if isinstance(item, dict) else item

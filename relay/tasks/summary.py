"""Make the summary of a task from its document: the short form that lists and headers show. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from relay.protocol.types import KINDS, STAGES, Kind
from relay.tasks.mapping import Mapping
from relay.tasks.needs import waits_for
from relay.tasks.paths import Document, fields_of, first_present
from relay.tasks.redact import CUT_MARGIN, Redactor
from relay.tasks.scalars import bounded, moment, number, snake, text
from relay.tasks.tracebacks import without_middle

Summary = dict[str, Any]  # a protocol.TaskSummary
MAX_QUESTIONS = 100
ERROR_TEXTS = (
    "message",
    "error",
    "reason",
)  # fields of an error that is a document, of which the first counts
QUESTION_TEXTS = ("question", "text", "message")  # the same of a question
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
    """Makes the summaries of one deployment's tasks, with the paths that its mapping names.

    Strings in a summary are redacted, and then cut to at most `max_text` characters: at their end, or if an error is a
    traceback of Python, in its middle.
    """

    def __init__(self, mapping: Mapping, redactor: Redactor, max_text: int) -> None:
        self._paths = {name: getattr(mapping.fields, name) for name in PARTS}
        self._roots = {name: roots(paths) for name, paths in self._paths.items()}
        self._stages = {status: STAGES[kind] for status, kind in mapping.statuses.items()}
        self._waiting = mapping.waiting()
        self._waiting_roots = roots(mapping.need_paths())
        self._redactor = redactor
        self._max_text = max_text

    def of(self, task_id: str, document: Document, length: int) -> Summary:
        """Return the summary of a task from its document; `length` is the number of events in its timeline."""
        summary: Summary = {"taskId": task_id, "eventCount": length}
        for name, paths in self._paths.items():
            self._put(summary, name, self.part(name, first_present((document,), paths)))
        self._put_waits(summary, document)
        return summary

    def after(self, before: Summary, differing: set[str], document: Document, length: int) -> Summary:
        """Return the summary of a task after a change, from the summary before it and the document after it.

        Only the parts that read one of the `differing` top-level fields are computed again; all other parts are
        copied from the summary before. `length` is the number of events after the change.
        """
        summary: Summary = {"taskId": before["taskId"], "eventCount": length}
        for name, paths in self._paths.items():
            if self._roots[name].isdisjoint(differing):
                value = before.get(name)
            else:
                value = self.part(name, first_present((document,), paths))
            self._put(summary, name, value)
        if before.get("stage") == summary.get("stage") and self._waiting_roots.isdisjoint(differing):
            if "waitsFor" in before:
                summary["waitsFor"] = before["waitsFor"]
        else:
            self._put_waits(summary, document)
        return summary

    def _put_waits(self, summary: Summary, document: Document) -> None:
        """Add whom the task waits for, in place, if it is in a stage in which the mapping says that it waits."""
        rules = self._waiting.get(summary.get("stage", ""))
        if rules is not None:
            summary["waitsFor"] = waits_for(rules, document, self._redactor.text)

    def _put(self, summary: Summary, name: str, value: Any) -> None:
        """Add one part to the summary, in place; add nothing if `value` is None.

        If the part is the status, and the mapping lists this status, add its stage as well.
        """
        if value is None:
            return
        summary[name] = value
        if name == "status" and (stage := self._stages.get(snake(value))) is not None:
            summary["stage"] = stage

    def part(self, name: str, value: Any) -> Any:
        """Convert a value of a document to the part `name` of a summary, in the type that the protocol promises.

        Return None if the value cannot be converted to that type.
        """
        value = fields_of(value)
        match name:
            case "issueNumber" | "prNumber":
                return number(value)
            case "createdAt" | "updatedAt":
                return moment(value)
            case "questions":
                return self._questions(value)
            case "error":
                found = first_present((value,), ERROR_TEXTS) if isinstance(value, dict) else value
                return self._error(found)
            case _:
                return self._text(value)

    def _text(self, value: Any) -> str | None:
        """Convert a string, number or id to a redacted string of at most `max_text` characters; else return None."""
        found = text(value)
        if found is None:
            return None
        return self._redactor.beginning(bounded(found, self._max_text + CUT_MARGIN), self._max_text)

    def _error(self, value: Any) -> str | None:
        """Convert an error as `_text` does, but cut a traceback of Python in its middle, if its whole text is there to
        be searched for secrets: what stands before the cut may be what shows that something after it is one."""
        found = text(value)
        if found is None or len(found) > self._max_text + CUT_MARGIN:
            return self._text(found)
        return without_middle(self._redactor.text(found), self._max_text)

    def _questions(self, value: Any) -> list[str] | None:
        """Return the first MAX_QUESTIONS questions, or a single one, as redacted strings; None if there are none."""
        listed = value if isinstance(value, list) else [value]
        shown = [
            question
            for item in listed[:MAX_QUESTIONS]
            if (question := self._text(_question(item))) is not None
        ]
        return shown or None


def kind_of(summary: Summary) -> Kind | None:
    """Return the kind of lifecycle message that belongs to the status in this summary, such as `task:pr_opened`.

    Return None if the summary has no status, or if the mapping does not list that status.
    """
    return KINDS.get(summary.get("stage", ""))


def roots(paths: Iterable[str]) -> frozenset[str]:
    """Return the names of the top-level fields with which these dotted paths begin."""
    return frozenset(path.split(".")[0] for path in paths)


def _question(item: Any) -> Any:
    """Return the text of a question, which may be stored inside a document; any other item unchanged."""
    item = fields_of(item)
    return first_present((item,), QUESTION_TEXTS) if isinstance(item, dict) else item

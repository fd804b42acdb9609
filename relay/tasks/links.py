"""The addresses of tasks in other applications: the templates that a mapping names under `[links]`. Pure.

A template is an address with the names of fields in braces, such as `https://tracker.example/tasks/{taskId}`. A page
puts the fields of a task's summary in their places, percent-encoded, so a document can change neither the host of an
address nor add anything to its path but one word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

from relay.protocol.polls import LinkTemplates
from relay.urls import origin_of

TEMPLATE_CHARACTERS_MAX = 2_000
EXAMPLE = "https://tracker.example/tasks/{taskId}"
# Fields of a summary that are one short value. Missing here are `questions`, `error` and `waitsFor`.
FIELDS = (
    *("taskId", "title", "creator", "status", "stage", "createdAt", "updatedAt"),
    *("issueUrl", "issueNumber", "prUrl", "prNumber", "mergeCommitSha"),
)

_HOST = re.compile(r"https?://[^/?#\\]*", re.IGNORECASE)
_FIELD = re.compile(r"\{([^{}]*)\}")


def _template(text: Any) -> str:
    """Return the template unchanged. Raises ValueError with what is wrong with it."""
    if not isinstance(text, str) or not (host := _HOST.match(text)):
        raise ValueError(f"must be an address that begins with https:// or http://, such as {EXAMPLE}")
    if len(text) > TEMPLATE_CHARACTERS_MAX:
        raise ValueError(f"must have at most {TEMPLATE_CHARACTERS_MAX} characters")
    if "\\" in text or any(char.isspace() or not char.isprintable() for char in text):
        raise ValueError(f"must be an address without spaces and backslashes, such as {EXAMPLE}")
    if not {"{", "}"}.isdisjoint(host[0]):
        raise ValueError(f"must name its host itself; a field may follow after it, as in {EXAMPLE}")
    origin_of(host[0])
    for name in _FIELD.findall(text):
        if name not in FIELDS:
            raise ValueError(
                f"has {{{name}}}, which is no field of a task; known here are {', '.join(FIELDS)}"
            )
    if not {"{", "}"}.isdisjoint(_FIELD.sub("", text)):
        raise ValueError(f"must write each field in a pair of braces, as in {EXAMPLE}")
    return text


def fills(template: str, summary: Mapping[str, Any]) -> bool:
    """Whether the summary of a task has a value for each field of the template, so that a page shows the link."""
    values = [summary.get(name) for name in _FIELD.findall(template)]
    return all(isinstance(value, str | int | float) and value != "" for value in values)


Template = Annotated[str, BeforeValidator(_template)]


@dataclass(frozen=True, slots=True)
class Links:
    """The templates of a deployment; None where it has none.

    `task` leads to a task, `answer` to where its questions are answered, `retry` to where one that failed is started
    again.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", hide_input_in_errors=True)

    task: Template | None = None
    answer: Template | None = None
    retry: Template | None = None

    def named(self) -> LinkTemplates:
        """Return the templates that there are, by their names."""
        templates: LinkTemplates = {}
        if self.task is not None:
            templates["task"] = self.task
        if self.answer is not None:
            templates["answer"] = self.answer
        if self.retry is not None:
            templates["retry"] = self.retry
        return templates

"""`relay check`: has the collection the indexes that the relay's reads use?

The reads are explained, and no indexes are listed: that needs no right but find, and shows what MongoDB really uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from relay.cli.check.examination import LIST, Examination
from relay.cli.check.report import Finding
from relay.cli.check.text import database_in_shell, listed, named, quoted
from relay.tasks.mapping import Mapping as TaskMapping

LARGE = 1_000  # documents; in a smaller collection a missing index costs nothing


async def ask(examination: Examination) -> None:
    """Find out which reads have an index. `conclude` adds the findings, once the documents were read."""
    found = int((await examination.ask_database(count=examination.collection))["n"])
    examination.large = found if found > LARGE else None
    mapping = examination.pipeline.mapping
    indexed = {}
    for path in _filtered(mapping):
        indexed[path] = await _uses_index(examination, path, {"filter": {path: {"$in": ["x"]}}})
    order = mapping.list_order
    if order != "_id":
        listing = {"filter": {}, "sort": {order: -1, "_id": -1}, "limit": 1}
        indexed[LIST] = await _uses_index(examination, order, listing)
    examination.indexed = indexed


async def conclude(examination: Examination) -> None:
    """Add a finding for each read. What the documents have decides how a missing index is judged."""
    examination.add(*_findings(examination, examination.indexed or {}))


def _filtered(mapping: TaskMapping) -> dict[str, list[str]]:
    """Return the fields that visibility filters ask for, each with the names of the rules that do."""
    rules: dict[str, list[str]] = {}
    for rule in mapping.visibility.rules:
        for path in rule.field:
            rules.setdefault(path, []).append(rule.name)
    return rules


async def _uses_index(examination: Examination, path: str, question: Mapping[str, Any]) -> bool:
    # The collation is that of the relay's reads, which cannot use an index of another one.
    find = {"find": examination.collection, **question, "collation": {"locale": "simple"}}
    reply = await examination.ask_database(explain=find, verbosity="queryPlanner")
    return any(_first_name(pattern) == path for pattern in _index_patterns(reply))


def _index_patterns(explained: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the keys of every index that any plan uses, wherever versions and clusters put them."""
    if isinstance(explained, Mapping):
        pattern = explained.get("keyPattern")
        if isinstance(pattern, Mapping):
            yield pattern
        for value in explained.values():
            yield from _index_patterns(value)
    elif isinstance(explained, list):
        for value in explained:
            yield from _index_patterns(value)


def _first_name(pattern: Mapping[str, Any]) -> str | None:
    # A wildcard index is explained with the path it is used for.
    return next((name for name in pattern if name != "$_path"), None)


def _findings(examination: Examination, indexed: Mapping[str, bool]) -> Iterator[Finding]:
    mapping, survey = examination.pipeline.mapping, examination.survey
    for path, rules in _filtered(mapping).items():
        what = f"{named(path)} ({'rule' if len(rules) == 1 else 'rules'} {listed(rules)})"
        if indexed[path]:
            yield Finding("index", "ok", f"one begins with {what}")
        elif _is_unneeded(path, examination, indexed):
            text = f"none begins with {what}, which none of the documents needs: all have an earlier field"
            yield Finding("index", "ok", text)
        else:
            remedy = "Create the one below"
            if survey is not None and survey.documents and path not in survey.present:
                remedy += ", or leave the field out of the mapping if your documents do not have it"
            yield _missing(examination, f"none begins with {what}", f"{remedy}.", {path: 1})
    order = named(mapping.list_order)
    if mapping.list_order == "_id":
        yield Finding("index", "ok", "the list's order is that of _id, which always has one")
    elif indexed[LIST]:
        yield Finding("index", "ok", f"one has the list's order, {order}")
    else:
        text, keys = f"none has the list's order, {order} and _id", {mapping.list_order: -1, "_id": -1}
        yield _missing(examination, text, "Create the one below.", keys)


def _is_unneeded(path: str, examination: Examination, indexed: Mapping[str, bool]) -> bool:
    """Is this field only looked at in documents without an earlier candidate that has an index, while every document
    that was read has that candidate?"""
    survey, rules = examination.survey, examination.pipeline.mapping.visibility.rules
    return (
        survey is not None
        and survey.documents > 0
        and all(
            any(
                indexed[earlier] and survey.present[earlier] == survey.documents
                for earlier in rule.field[: rule.field.index(path)]
            )
            for rule in rules
            if path in rule.field
        )
    )


def _missing(examination: Examination, text: str, remedy: str, keys: Mapping[str, int]) -> Finding:
    if examination.large is None:
        return Finding("index", "note", f"{text}; the collection is small enough to do without")
    paste = (
        f"{database_in_shell(examination.database)}"
        f".getCollection({quoted(examination.collection)}).createIndex({quoted(keys)})"
    )
    return Finding("index", "warning", f"{text}, over about {examination.large:,} documents", remedy, paste)

"""`relay check`: do the newest documents look as the mapping says?

Rule of this file: of documents only statuses, types of events, names of fields and the types of ids are shown.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from relay.cli.check.examination import LIST, Examination
from relay.cli.check.report import Finding
from relay.cli.check.survey import PARTS, Ids, Survey, message_of_event, message_of_status, survey
from relay.cli.check.text import NAMES_SHOWN, listed, named, quoted
from relay.cli.printable import counted
from relay.tasks.mapping import Mapping as TaskMapping

EVENTS_READ = 200  # of one document's timeline, its last ones


async def ask(examination: Examination) -> None:
    """Read the newest documents. `conclude` adds the findings about them."""
    pipeline = examination.pipeline
    order = pipeline.mapping.list_order if (examination.indexed or {}).get(LIST) else "_id"
    documents = await pipeline.reader.read_at(
        await pipeline.reader.now(),
        {},
        projection={pipeline.mapping.events: {"$slice": -EVENTS_READ}},
        sort={order: -1},
        limit=examination.sample,
    )
    # In a thread: redacting the strings of a hundred large documents would block the loop, and with it every timeout.
    examination.survey = await asyncio.to_thread(
        survey, documents, pipeline.translator, pipeline.audience.looked_at
    )
    if not documents:
        examination.add(Finding("documents", "note", "there are none to read through the mapping"))


async def conclude(examination: Examination) -> None:
    """Add the findings about the documents that were read."""
    found, mapping = examination.survey, examination.pipeline.mapping
    if found is not None and found.documents:
        examination.add(*judge(found, mapping))
        examination.report.sample = sample_json(found, mapping)


def judge(found: Survey, mapping: TaskMapping) -> Iterator[Finding]:
    """Judge a mapping by the documents that were read through it."""
    yield _parts(found)
    yield _timeline(found, mapping)
    statuses = [(name, message_of_status(mapping, name)) for name, _ in found.statuses.most_common()]
    yield _meanings(
        "statuses", found.statuses, dict(statuses), "[statuses]", mapping.lifecycle_from != "events"
    )
    if found.timelines and (found.event_types or not found.untyped_events):
        types = [(name, message_of_event(mapping, name)) for name, _ in found.event_types.most_common()]
        yield _meanings(
            "event types", found.event_types, dict(types), "[event_types]", mapping.lifecycle_from != "status"
        )
    if found.untyped_events:
        yield Finding(
            "event types",
            "warning" if not found.event_types else "note",
            f"{found.untyped_events} events have none: {listed(mapping.event.type)} not found in them",
            "Name the field that tells an event's type as type under [event] in the mapping.",
        )
    yield _visibility(found, mapping)
    if mapping.visibility.rules:
        yield _ids(found, mapping)
    if found.waiting:
        yield _needs(found)
    yield from _links(found, mapping)


def _parts(found: Survey) -> Finding:
    missing = [name for name in PARTS if not found.parts[name]]
    text = f"of the {found.documents} newest, " + ", ".join(
        f"{found.parts[name]} have a {name}" if not index else f"{found.parts[name]} a {name}"
        for index, name in enumerate(PARTS)
    )
    if not missing:
        return Finding("documents", "ok", text)
    remedy = f"Say where to find the {' and the '.join(missing)} under [fields] in the mapping."
    return Finding("documents", "warning", text, remedy)


def _timeline(found: Survey, mapping: TaskMapping) -> Finding:
    path = named(mapping.events)
    text = f"{found.timelines} of {found.documents} have an array at {path}"
    lacking = found.documents - found.timelines
    if not lacking:
        return Finding("timeline", "ok", text)
    others = [name for name, _ in found.other_arrays.most_common()]
    if others:
        meant = named(others[0])
        text += f"; the others have arrays at {listed(others)}"
        remedy = f"If one of these is meant, name it in the mapping, such as events = {quoted(meant)}."
    else:
        text += "; the others have no array of sub-documents"
        remedy = "Tasks may start without one; if theirs is in a sub-document, set events in the mapping."
    return Finding("timeline", "note" if found.timelines else "warning", text, remedy)


def _meanings(
    name: str, counts: Counter[str], messages: Mapping[str, Any], table: str, counted_on: bool
) -> Finding:
    if not counts:
        return Finding(name, "note", "none occur in these documents")
    shown = [
        f"{named(value)} ({count}) → {messages[value] or 'no message'}"
        for value, count in counts.most_common(NAMES_SHOWN)
    ]
    if len(counts) > NAMES_SHOWN:
        shown.append(f"{len(counts) - NAMES_SHOWN} more")
    if any(messages.values()) or not counted_on:
        return Finding(name, "ok", ", ".join(shown))
    return Finding(
        name,
        "warning",
        ", ".join(shown),
        f"Say which of them stand for a message under {table} in the mapping.",
    )


def _visibility(found: Survey, mapping: TaskMapping) -> Finding:
    rules = mapping.visibility.rules
    text = "rules that have a value to match: " + (
        ", ".join(f"{named(rule.name)} in {found.rules[rule.name]}" for rule in rules) or "none"
    )
    if not found.administrators_only:
        return Finding("visibility", "ok", f"{text}, of {found.documents}")
    nobody = "nobody but an administrator" if mapping.visibility.sees_all else "nobody at all"
    return Finding(
        "visibility",
        "warning",
        f"{found.administrators_only} of {found.documents} can be seen by {nobody}; {text}",
        "Unless that is meant, say which field tells whose a task is, in [[visibility.rules]] of the mapping.",
    )


def _ids(found: Survey, mapping: TaskMapping) -> Finding:
    rules = [rule.name for rule in mapping.visibility.rules]
    shown = "; ".join(f"rule {named(rule)}: {_types(found.ids[rule])}" for rule in rules[:NAMES_SHOWN])
    if len(rules) > NAMES_SHOWN:
        shown += f"; {len(rules) - NAMES_SHOWN} more rules"
    if not any(found.ids[rule].unmatched for rule in rules):
        return Finding("ids", "ok", shown)
    return Finding(
        "ids",
        "warning",
        shown,
        "An id is a string, an integer, an ObjectId or a UUID: name a field that holds one in [[visibility.rules]] "
        "of the mapping.",
    )


def _needs(found: Survey) -> Finding:
    text = f"{found.waiting} of {found.documents} wait for somebody"
    if not found.waiting_for_nobody:
        return Finding("needs", "ok", text)
    return Finding(
        "needs",
        "warning" if found.waiting_for_nobody == found.waiting else "note",
        f"{text}, {found.waiting_for_nobody} of them for nobody who is named",
        "Say which field names those whom a task waits for, under [needs] in the mapping.",
    )


def _links(found: Survey, mapping: TaskMapping) -> Iterator[Finding]:
    for name, template in mapping.links.named().items():
        asked, filled = found.linking[name], found.linked[name]
        kind = {"answer": " with questions", "retry": " that failed"}.get(name, "")
        text = f"{quoted(str(template))}: " + (
            f"{filled} of {counted(asked, 'document')}{kind} have all its fields"
            if asked
            else f"none of these documents is one{kind}"
        )
        if filled or not asked:
            yield Finding(f"link {name}", "ok" if filled else "note", text)
        else:
            remedy = f"No page shows this link: name other fields in {name} under [links] in the mapping."
            yield Finding(f"link {name}", "warning", text, remedy)


def _types(ids: Ids) -> str:
    matched = ", ".join(counted(number, kind) for kind, number in ids.matched.most_common())
    unmatched = ", ".join(counted(number, kind) for kind, number in ids.unmatched.most_common())
    if not unmatched:
        return matched or "no values"
    return f"{matched}{', and ' if matched else ''}{unmatched} that can match nobody"


def sample_json(found: Survey, mapping: TaskMapping) -> dict[str, Any]:
    """Return the counts as they stand in the JSON report."""
    return {
        "documents": found.documents,
        **{name: found.parts[name] for name in PARTS},
        "events": found.timelines,
        "statuses": [
            {"value": named(name), "count": count, "message": message_of_status(mapping, name)}
            for name, count in found.statuses.most_common(NAMES_SHOWN)
        ],
        "eventTypes": [
            {"value": named(name), "count": count, "message": message_of_event(mapping, name)}
            for name, count in found.event_types.most_common(NAMES_SHOWN)
        ],
        "waiting": found.waiting,
        "waitingForNobody": found.waiting_for_nobody,
        "links": {
            name: {"template": template, "meant": found.linking[name], "shown": found.linked[name]}
            for name, template in mapping.links.named().items()
        },
        "rules": {rule.name: found.rules[rule.name] for rule in mapping.visibility.rules},
        "ids": {
            rule.name: {
                "matched": dict(found.ids[rule.name].matched),
                "unmatched": dict(found.ids[rule.name].unmatched),
            }
            for rule in mapping.visibility.rules
        },
        "administratorsOnly": found.administrators_only,
    }

"""Sentences about visibility rules: what the document has, what the user has, and whether they match. Pure.

Rule of this file: of a document only values that can be ids are shown, and of any other value its type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from relay.cli.check.survey import type_of
from relay.cli.check.text import named
from relay.tasks.claims import claim_at, texts_of
from relay.tasks.ids import identity
from relay.tasks.mapping import RoleRule
from relay.tasks.visibility import Compared, Comparison, Principal

SHOWN = 12  # values of one field or claim in a sentence; the rest is counted
SHOWN_JSON = 100  # values of one rule in JSON
TEXT_CHARS_JSON = 1_000  # of one value in JSON


def of_rule(comparison: Comparison, principal: Principal) -> str:
    """Return a clause that says why a rule lets the principal see the document, or why not."""
    rule = comparison.rule
    if comparison.holds:
        path, equal = next((one.path, one.value) for one in comparison.values if one.equal and one.counts)
        return f"{named(path)} has {shown(equal)}, and so has the user's claim {named(rule.claim)}"
    parts = [_of_document(comparison), of_claim(principal, rule.claim), *_passed_over(comparison)]
    return "; ".join([*parts, *_hints(comparison, principal)])


def of_role(role: RoleRule, principal: Principal) -> str:
    """Return a clause that says whether the principal may see every task because of this rule."""
    wanted = _quoted(role.value)
    if role.value in texts_of(claim_at(principal.claims, role.claim)):
        return f"the user's claim {named(role.claim)} has {wanted}, which opens every task"
    return f"{of_claim(principal, role.claim)}; {wanted} in it would open every task"


def of_claim(principal: Principal, name: str) -> str:
    """Return a clause that says which values the principal has in this claim."""
    value = claim_at(principal.claims, name)
    texts = texts_of(value)
    if value is None:
        return f"the user has no claim {named(name)}"
    if not texts:
        return f"the user's claim {named(name)} has no value that counts: only strings and integers do"
    return f"the user's claim {named(name)} has {_listed(list(map(_quoted, texts)))}"


def shown(value: Any) -> str:
    """Return a value of a document for a sentence, if it can be an id; otherwise its type."""
    found = identity(value)
    if found is None:
        return "null" if value is None else f"a value that is no id ({type_of(value)})"
    return _quoted(found.text) if found.kind == "string" else f"the {found.kind} {found.text}"


def to_json(comparison: Comparison, principal: Principal) -> dict[str, Any]:
    """Return the rule with its values as JSON: the document's, and those of the user's claim."""
    rule = comparison.rule
    return {
        "name": rule.name,
        "fields": list(rule.field),
        "claim": rule.claim,
        "documentValues": [_value_to_json(one) for one in _equal_first(comparison.values)[:SHOWN_JSON]],
        "documentValueCount": len(comparison.values),
        "userValues": texts_of(claim_at(principal.claims, rule.claim))[:SHOWN_JSON],
        "matches": comparison.holds,
    }


def _value_to_json(one: Compared) -> dict[str, Any]:
    found = identity(one.value)
    if found is None:
        kind, value = "null" if one.value is None else type_of(one.value), {}
    else:
        kind, value = found.kind, {"value": found.text[:TEXT_CHARS_JSON]}
    return {"field": one.path, "type": kind, **value, "equal": one.equal, "counts": one.counts}


def _of_document(comparison: Comparison) -> str:
    fields = []
    for path in comparison.rule.field:
        values = [one.value for one in comparison.values if one.counts and one.path == path]
        if values:
            fields.append(f"{named(path)} has {_listed([*dict.fromkeys(map(shown, values))])}")
    nothing = f"the task has nothing at {' or '.join(map(named, comparison.rule.field))}"
    return ", ".join(fields) if fields else nothing


def _passed_over(comparison: Comparison) -> Iterator[str]:
    """Yield a clause if the rule would hold by a path that does not count, because an earlier one is present."""
    one = next((one for one in comparison.values if one.equal), None)
    if one is not None:
        counting = [other.path for other in comparison.values if other.counts]
        before = f", because {named(counting[-1])} is present" if counting else ""
        yield f"{named(one.path)} has {shown(one.value)}, but does not count{before}"


def _hints(comparison: Comparison, principal: Principal) -> Iterator[str]:
    """Yield a clause if a value of the document is nearly one of the claim."""
    wanted = texts_of(claim_at(principal.claims, comparison.rule.claim))
    ids = [found.text for one in comparison.values if one.counts and (found := identity(one.value))]
    folded = {text.strip().casefold(): text for text in wanted}
    near = next((text for text in ids if text.strip().casefold() in folded), None)
    if near is not None:
        other = folded[near.strip().casefold()]
        yield f"{_quoted(near)} and {_quoted(other)} differ in capital letters or spaces, which count"
    elif {part for text in wanted for part in re.split(r"[\s,;]+", text)} & set(ids):
        yield "the claim is one string with several names in it, and several values are a list"


def _equal_first(values: Sequence[Compared]) -> list[Compared]:
    return sorted(values, key=lambda one: not one.equal)


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more


def _quoted(text: str) -> str:
    return json.dumps(named(text), ensure_ascii=False)

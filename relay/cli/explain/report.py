"""The answer of `relay explain` as lines for people, or as JSON. Pure.

Rule of this file: everything that comes from a token, a document or the mapping is made safe to print on a terminal.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from relay.auth.rollout import percentile
from relay.auth.spans import span
from relay.cli.check.text import named
from relay.cli.explain import rules
from relay.cli.explain.explanation import Explanation, Found, Verdict
from relay.cli.explain.user import Token
from relay.cli.printable import visible
from relay.protocol.types import Claims, rfc3339
from relay.source.client import hosts_of
from relay.tasks.claims import claim_at, texts_of
from relay.tasks.visibility import Principal

MARK_WIDTH = len("problem")
_TIMES = {"iat": "issued", "nbf": "valid from", "exp": "valid until"}


class Line(NamedTuple):
    """One line of the report. `mark` is ok, problem, yes, no or note."""

    mark: str
    name: str
    text: str


def to_text(explanation: Explanation) -> str:
    """Return the explanation in one line for each thing that decides, and the verdict at the end."""
    lines = _lines(explanation)
    width = max(len(line.name) for line in lines)
    head = f"relay explain: task {visible(explanation.task_id)} of {_where(explanation)}, for {_who(explanation)}"
    body = [f"{line.mark:{MARK_WIDTH}}  {line.name:{width}}  {line.text}" for line in lines]
    return "\n".join([head, "", *body, "", sentence(explanation), ""])


def to_json(explanation: Explanation) -> str:
    """Return the explanation as one JSON object on one line, in ASCII."""
    user, found, settings = explanation.user, explanation.found, explanation.settings
    shown: dict[str, Any] = {
        "visible": explanation.verdict is Verdict.VISIBLE,
        "verdict": explanation.verdict.value,
        "sentence": sentence(explanation),
        "taskId": explanation.task_id,
        "where": _where(explanation),
    }
    if user.token is not None:
        token = user.token
        times = {name: _time(at) for name, at in token.times.items()}
        shown["token"] = {
            "accepted": None if token.unchecked else not token.refused,
            "algorithm": token.algorithm,
            "kid": token.kid,
        } | times
        if token.refused or token.unchecked:
            shown["token"]["reason"] = token.refused or token.unchecked
    if user.principal is not None:
        principal, names = user.principal, _claims(explanation)
        claims = {name: texts_of(claim_at(principal.claims, name)) for name in names}
        shown["user"] = {"sub": principal.sub, "claims": claims}
        shown["rollout"] = {
            "included": explanation.is_in_rollout,
            "place": percentile(principal.sub),
            "percent": settings.feature_websocket_percent,
        }
        if found is not None:
            shown["rules"] = [rules.to_json(one, principal) for one in found.comparisons]
            shown["seesAll"] = [
                {"claim": role.claim, "value": role.value, "matches": role in found.roles}
                for role in explanation.mapping.visibility.sees_all
            ]
            shown |= {"live": found.live, "list": found.listed}
            if found.waits_for is not None:
                shown["waitsFor"] = found.waits_for
                shown["waitsForUser"] = found.waits_for_user
    return json.dumps(shown) + "\n"


def sentence(explanation: Explanation) -> str:
    """Return the verdict in a sentence or two."""
    match explanation.verdict:
        case Verdict.TOKEN_REFUSED:
            assert explanation.user.token is not None
            first = f"The relay refuses this token: it {explanation.user.token.refused}."
            return first if explanation.user.principal is None else f"{first} {_otherwise(explanation)}"
        case Verdict.TOKEN_UNCHECKED:
            assert explanation.user.token is not None
            reason = explanation.user.token.unchecked
            first = f"The signature of this token could not be checked: {reason}."
            return first if explanation.user.principal is None else f"{first} {_if_good(explanation)}"
        case Verdict.NOT_IN_ROLLOUT:
            return f"{_who(explanation)} gets no live updates: {_of_rollout(explanation)}. {_otherwise(explanation)}"
        case verdict:
            return _of_rules(explanation, verdict)


def _of_rules(explanation: Explanation, verdict: Verdict) -> str:
    who = _who(explanation)
    match verdict:
        case Verdict.NO_SUCH_TASK:
            task = f"There is no task {visible(explanation.task_id)} in {_where(explanation)}."
            return f"{task} {explanation.hint}".rstrip()
        case Verdict.DISAGREEMENT:
            return (
                "Live messages and lists disagree about this task, which is a fault of the relay: please report it, "
                "with the mapping and these lines."
            )
        case Verdict.VISIBLE:
            assert explanation.found is not None
            return f"{who} may see this task{_cause(explanation.found)}."
        case _:
            return f"{who} may not see this task: no visibility rule opens it for them."


def _if_good(explanation: Explanation) -> str:
    """Return a sentence about what the rollout and the rules say, if the relay accepts the token."""
    if not explanation.is_in_rollout:
        return f"If it is good: {_who(explanation)} gets no live updates, {_of_rollout(explanation)}."
    match explanation.of_rules:
        case Verdict.VISIBLE:
            return f"If it is good, {_of_rules(explanation, Verdict.VISIBLE)}"
        case Verdict.NO_RULE:
            return "Even if it is good, no visibility rule opens this task for them."
        case verdict:
            return _of_rules(explanation, verdict)


def _otherwise(explanation: Explanation) -> str:
    """Return a sentence about what the rules say, where the token or the rollout has decided already."""
    match explanation.of_rules:
        case Verdict.VISIBLE:
            return "Otherwise they could see this task."
        case Verdict.NO_RULE:
            return "No visibility rule would open this task for them either."
        case verdict:
            return _of_rules(explanation, verdict)


def _cause(found: Found) -> str:
    if found.roles:
        role = found.roles[0]
        return f': the claim {named(role.claim)} has "{named(role.value)}", which opens every task'
    names = [named(one.rule.name) for one in found.comparisons if one.holds]
    return f", by the rule{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _lines(explanation: Explanation) -> list[Line]:
    user, found = explanation.user, explanation.found
    lines = [] if user.token is None else [_of_token(user.token, explanation.now)]
    if user.principal is None:
        return lines
    lines.append(Line("ok" if explanation.is_in_rollout else "problem", "rollout", _of_rollout(explanation)))
    if found is None:
        return [*lines, Line("problem", "task", "it does not exist")]
    lines.append(Line("ok", "task", _of_task(found)))
    for one in found.comparisons:
        text = rules.of_rule(one, user.principal)
        lines.append(Line("yes" if one.holds else "no", named(one.rule.name), text))
    for role in explanation.mapping.visibility.sees_all:
        mark = "yes" if role in found.roles else "no"
        lines.append(Line(mark, "sees all", rules.of_role(role, user.principal)))
    if found.waits_for is not None:
        lines.append(Line("yes" if found.waits_for_user else "no", "waits for", _of_waiting(found.waits_for)))
    live, listed = (("shown" if one else "not shown") for one in (found.live, found.listed))
    agreement = f"live messages: {live}; lists and joins, asked of the database: {listed}"
    return [*lines, Line("ok" if live == listed else "problem", "agreement", agreement)]


def _of_waiting(waits_for: Claims) -> str:
    named_ones = (
        f"{named(claim)} {', '.join(visible(one) for one in values)}" for claim, values in waits_for.items()
    )
    return "; ".join(named_ones) or "nobody who is named"


def _of_task(found: Found) -> str:
    if not found.others:
        return "it exists"
    return f"it exists; its taskId stands for {found.others + 1} documents, and this is the first that counts"


def _of_token(token: Token, now: float) -> Line:
    named_key = f", by the key {named(token.kid)}" if token.kid else ""
    signed = f"signed with {named(token.algorithm)}{named_key}" if token.algorithm else ""
    times = [f"{_TIMES[name]} {_time(at)} ({_distance(at - now)})" for name, at in token.times.items()]
    refused = f"refused: it {token.refused}" if token.refused else ""
    if token.unchecked:
        refused = f"its signature could not be checked: {token.unchecked}"
    parts = ", ".join([one for one in (signed, *times) if one])
    text = "; ".join(one for one in (refused, parts) if one)
    return Line("problem" if refused else "ok", "token", text)


def _of_rollout(explanation: Explanation) -> str:
    settings, principal = explanation.settings, explanation.user.principal
    assert principal is not None
    if not settings.feature_websocket_enabled:
        return "FEATURE_WEBSOCKET_ENABLED=false switches live updates off for everyone"
    if principal.sub in settings.feature_websocket_users:
        return "FEATURE_WEBSOCKET_USERS names this user"
    percent, place = settings.feature_websocket_percent, percentile(principal.sub)
    if percent == 100:
        return "includes everyone"
    below = "below" if place < percent else "not below"
    return f"this user has the place {place}, {below} FEATURE_WEBSOCKET_PERCENT={percent}" + (
        "" if place < percent else ", and FEATURE_WEBSOCKET_USERS does not name them"
    )


def _who(explanation: Explanation) -> str:
    principal: Principal | None = explanation.user.principal
    return "an unknown user" if principal is None else visible(principal.sub)


def _where(explanation: Explanation) -> str:
    settings = explanation.settings
    name = f"{settings.relay_mongo_database}.{settings.relay_tasks_collection}"
    return f"{visible(name)} at {visible(hosts_of(settings))}"


def _claims(explanation: Explanation) -> list[str]:
    visibility = explanation.mapping.visibility
    return sorted({rule.claim for rule in visibility.rules} | {role.claim for role in visibility.sees_all})


def _time(at: float) -> str:
    return rfc3339(datetime.fromtimestamp(at, UTC))


def _distance(seconds: float) -> str:
    return f"in {span(seconds)}" if seconds > 0 else f"{span(seconds)} ago"

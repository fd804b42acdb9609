"""Whom a task waits for: the rules of `[needs]`, applied to documents and to the claims of a user."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from bson import Binary, Int64, ObjectId, Timestamp
from hypothesis import given
from hypothesis import strategies as st
from support.steps import translator

from relay.errors import StartupError
from relay.source.change import SPLIT, Change, Updated, key_of
from relay.tasks.ids import identity
from relay.tasks.mapping import Mapping, Rule, Visibility, parse
from relay.tasks.needs import MAX_CHARACTERS, MAX_ELEMENTS, MAX_VALUES, Need, claims_of, waits_for
from relay.tasks.step import Listed, SummaryUpdated
from relay.tasks.visibility import Audience, Principal

FILE = Path("mapping.toml")
DEFAULT = Mapping()
REVIEW = {"_id": "t", "status": "pr_opened", "createdBy": "carol"}
HEX = "65f0c0ffee0123456789abcd"


def waiting(document: dict[str, Any], mapping: Mapping = DEFAULT) -> dict[str, list[str]] | None:
    summary = translator(mapping).read({"_id": "t", **document}).summary
    found: dict[str, list[str]] | None = summary.get("waitsFor")
    return found


def mapped(text: str) -> Mapping:
    return parse(text, FILE)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reviewers": ["ann", "bob"], "assignee": "dan"}, ["ann", "bob"]),
        ({"reviewer": "ann"}, ["ann"]),
        ({"requestedReviewers": [7, Int64(8), ObjectId(HEX)]}, ["7", "8", HEX]),
        ({"reviewers": [], "assignee": "dan"}, ["dan"]),
        ({"reviewers": None, "assignees": ["dan", "eve"]}, ["dan", "eve"]),
        ({"assignedTo": "dan"}, ["dan"]),
        ({"reviewers": [None, "", True, 1.5, {"name": "ann"}]}, ["carol"]),
        ({}, ["carol"]),
    ],
)
def test_a_review_waits_for_its_reviewers_else_the_assignee_else_the_creator(
    fields: dict[str, Any], expected: list[str]
) -> None:
    assert waiting({**REVIEW, **fields}) == {"sub": expected}


def test_questions_and_a_failure_wait_for_the_creator_whoever_else_is_named() -> None:
    for status in ("clarification_needed", "failed"):
        assert waiting({"status": status, "creator": "carol", "reviewers": ["ann"]}) == {"sub": ["carol"]}


def test_a_task_at_work_and_one_that_is_merged_wait_for_nobody() -> None:
    for status in ("analyzing", "dispatched", "merged", "on hold", None):
        assert waiting({"status": status, "createdBy": "carol", "reviewers": ["ann"]}) is None


def test_a_waiting_task_without_an_id_waits_for_nobody_that_is_known() -> None:
    assert waiting({"status": "failed"}) == {}


def test_the_defaults_follow_where_the_mapping_finds_the_creator() -> None:
    mapping = mapped('[fields]\ncreator = "people.reporter.id"')
    people = {"people": {"reporter": {"id": "ada"}}, "createdBy": "bot"}
    assert waiting({"status": "failed", **people}, mapping) == {"sub": ["ada"]}


def test_a_mapping_names_other_fields_and_claims_and_keeps_the_stages_that_it_does_not_name() -> None:
    mapping = mapped(
        """
        [needs]
        pr_opened = [
            { field = "people.reviewers.id", claim = "sub" },
            { field = ["squad", "team"], claim = "teams" },
        ]
        dispatched = { field = "operator", claim = "sub" }
        clarification_needed = []
        """
    )
    people = {"reviewers": [{"id": "ann"}, {"id": ["bob", "cy"]}, "dan"]}
    review = {**REVIEW, "people": people, "team": "red", "operator": "olga"}
    assert waiting(review, mapping) == {"sub": ["ann", "bob", "cy"], "teams": ["red"]}
    assert waiting({**review, "status": "dispatched"}, mapping) == {"sub": ["olga"]}
    assert waiting({**review, "status": "clarification_needed"}, mapping) == {}
    assert waiting({**review, "status": "failed"}, mapping) == {"sub": ["carol"]}
    assert mapping.announced() == {"sub", "teams"}


def test_a_mapping_may_switch_it_off() -> None:
    mapping = mapped("needs = false")
    assert waiting(REVIEW, mapping) is None
    assert Audience(mapping.visibility, mapping.announced()).announced_to(Principal("a", {}, 0)) == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("needs = true", "needs must be a table, or false"),
        ("needs = 5", "needs must be a table, or false, but is 5."),
        ("[needs]\nreview = []", "needs.review is not a key of the mapping; known here are analyzing, "),
        ("[needs]\npr_opened = 5", "needs.pr_opened must be a list of tables with claim, field."),
        ("[needs]\npr_opened = 'a'", "needs.pr_opened must be a list of tables with claim, field."),
        ("[needs]\npr_opened = ['a']", "needs.pr_opened[0] must be a table."),
        ("[needs]\npr_opened = {field = 'a'}", "needs.pr_opened.claim is missing."),
        ("[needs]\npr_opened = [{claim = 'sub'}]", "needs.pr_opened[0].field is missing."),
        (
            "[needs]\nfailed = [{field = 'a..b', claim = 'sub'}]",
            "needs.failed[0].field must be a dotted path",
        ),
        ("[needs]\nfailed = [{field = 'a', claim = ''}]", "needs.failed[0].claim must not be empty"),
        (
            "[needs]\nfailed = [{field = 'a', claim = 'sub', team = 'b'}]",
            "needs.failed[0].team is not a key of the mapping; known here are claim, field.",
        ),
        (
            "[needs]\nfailed = [{field = ['a', 'events.by'], claim = 'sub'}]",
            "needs.failed[0].field: 'events.by' lies in the array of events",
        ),
    ],
)
def test_a_mistake_is_named_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(StartupError) as failed:
        mapped(text)
    assert str(failed.value).startswith(f"The mapping file mapping.toml: {sentence}")


def test_what_is_sent_of_a_task_is_bounded() -> None:
    many = [f"user-{number}" for number in range(MAX_ELEMENTS + 5)]
    assert waiting({**REVIEW, "reviewers": many}) == {"sub": many[:MAX_VALUES]}
    people = [{"ids": many[:15]}, {"ids": many[10:]}]
    mapping = Mapping(needs={"pr_opened": (Need(("people.ids",), "sub"), Need(("createdBy",), "teams"))})
    assert waiting({**REVIEW, "people": people}, mapping) == {"sub": many[:MAX_VALUES]}
    assert waiting({**REVIEW, "reviewers": ["x" * MAX_CHARACTERS, "y" * (MAX_CHARACTERS + 1)]}) == {
        "sub": ["x" * MAX_CHARACTERS]
    }


def test_an_id_that_looks_like_a_secret_is_left_out_and_not_changed() -> None:
    secret = "ghp_" + "a1B2" * 9
    assert waiting({**REVIEW, "reviewers": ["ann", secret]}) == {"sub": ["ann"]}
    mapping = mapped("[redact]\npatterns = ['ACME-[0-9]+']")
    assert waiting({**REVIEW, "reviewers": ["ACME-12", "bob"]}, mapping) == {"sub": ["bob"]}


def test_claims_are_sent_in_the_spelling_of_the_ids_in_documents() -> None:
    claims = {
        "sub": 1017,
        "teams": ["red", HEX.upper(), None, True],
        "org": {"groups": ["ops"]},
        "other": "x",
    }
    assert claims_of({"sub", "teams", "org.groups", "absent"}, claims) == {
        "sub": ["1017"],
        "teams": ["red", HEX.upper(), HEX],
        "org.groups": ["ops"],
    }


TEXTS = st.sampled_from(
    ["a", "A", "5", "-5", "05", "5.0", "", HEX, str(UUID(int=7)), str(UUID(int=7)).upper(), "x" * 30]
)
STORED = TEXTS | st.sampled_from(
    [5, 5.0, -5, 5.5, Int64(5), True, None, ObjectId(HEX), UUID(int=7), Binary(UUID(int=7).bytes, 3), b"a"]
)


@given(
    st.lists(STORED, max_size=4) | STORED, st.lists(TEXTS | st.sampled_from([5, -5, 5.5, None]), max_size=3)
)
def test_a_task_waits_for_exactly_those_whom_a_visibility_rule_with_the_same_words_would_let_in(
    stored: Any, claim: list[Any]
) -> None:
    rule = Audience(Visibility((Rule("r", ("who",), "ids"),), ()))
    principal = Principal("someone", {"ids": claim}, 0)
    waits = waits_for([Need(("who",), "ids")], {"who": stored}, str).get("ids", [])
    mine = claims_of(["ids"], principal.claims).get("ids", [])
    let_in = not rule.keys_of({"who": stored}).isdisjoint(rule.keys_for(principal))
    # A claim in capital letters is the id of a stored ObjectId or UUID, but not of a string of the same digits.
    spelled = [identity(one) for one in (stored if isinstance(stored, list) else [stored])]
    differs = {one.text for one in spelled if one and one.kind == "string"} & ({*mine} - {*map(str, claim)})
    assert set(waits).isdisjoint(mine) != (let_in or bool(differs))


def test_another_reviewer_is_a_change_of_the_summary_and_another_note_is_none() -> None:
    reader = translator(Mapping())
    task = reader.read({**REVIEW, "reviewers": ["ann"]})

    def messages(fields: dict[str, Any]) -> tuple[Any, list[Any]]:
        step = reader.translate(
            task, Change(key_of("t"), "t", Timestamp(1, 1), 0, Updated(fields, paths=SPLIT))
        )
        assert step is not None
        assert step.after is not None
        return step.after.summary["waitsFor"], [type(one) for one in step.messages]

    assert messages({"reviewers.1": "bob"}) == ({"sub": ["ann", "bob"]}, [SummaryUpdated, Listed])
    assert messages({"reviewers": []}) == ({"sub": ["carol"]}, [SummaryUpdated, Listed])
    assert messages({"note": "x", "title": "New"}) == ({"sub": ["ann"]}, [SummaryUpdated, Listed])
    assert messages({"assignee": "dan"}) == ({"sub": ["ann"]}, [])

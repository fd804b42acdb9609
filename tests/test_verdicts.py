"""What `relay check` makes of answers that no database at hand gives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relay.access.audience import Audience
from relay.app import hosts_of
from relay.checkup.report import Finding, Report, to_text
from relay.checkup.verdicts import (
    judge_journal,
    judge_oplog,
    judge_rights,
    judge_sample,
    judge_snapshots,
    judge_topology,
    judge_version,
    least_role,
)
from relay.config import load
from relay.tasks.mapping import Mapping
from relay.tasks.survey import Survey, survey
from relay.tasks.translate import Translator

OWN = {"resource": {"db": "app", "collection": "tasks"}, "actions": ["find", "changeStream"]}


@pytest.mark.parametrize(
    ("finding", "mark"),
    [
        (judge_version({"version": "5.0.31", "versionArray": [5, 0, 31, 0]}), "problem"),
        (judge_version({"version": "10.1.0", "versionArray": [10, 1, 0, 0]}), "ok"),
        (judge_topology({"msg": "isdbgrid"}), "warning"),
        (judge_topology({"isreplicaset": True}), "problem"),
        (judge_topology({}), "problem"),
        (judge_oplog(3599, whole=False), "warning"),
        (judge_oplog(3599, whole=True), "ok"),
        (judge_oplog(3600, whole=False), "ok"),
        (judge_snapshots(59), "warning"),
        (judge_snapshots(60), "ok"),
        (judge_snapshots(None), "note"),
        (judge_journal(100, True), "note"),
        (judge_journal(100, None), "note"),
        (judge_journal(None, None), "note"),
        (judge_journal(1, True), "ok"),
        (judge_journal(100, False), "ok"),
        (judge_rights([OWN], "app", "tasks"), "ok"),
        (judge_rights([OWN, {**OWN, "actions": ["insert"]}], "app", "tasks"), "warning"),
        (
            judge_rights([{"resource": {"anyResource": True}, "actions": ["anyAction"]}], "app", "tasks"),
            "warning",
        ),
        (
            judge_rights(
                [{"resource": {"db": "app", "collection": ""}, "actions": ["find"]}], "app", "tasks"
            ),
            "note",
        ),
    ],
)
def test_an_answer_is_judged(finding: Finding, mark: str) -> None:
    assert finding.mark == mark
    assert bool(finding.remedy) == (mark != "ok")


def surveyed(*documents: dict[str, Any]) -> dict[str, Finding]:
    mapping = Mapping()
    translator = Translator(mapping, Audience(mapping.visibility).keys_of, max_text=1000)
    found = survey(({"_id": number, **document} for number, document in enumerate(documents)), translator)
    return {finding.name: finding for finding in judge_sample(found, mapping)}


def test_documents_that_the_mapping_fits_are_fine() -> None:
    task = {"title": "T", "status": "analyzing", "createdBy": "alice", "events": [{"type": "llm_started"}]}
    assert {finding.mark for finding in surveyed(task).values()} == {"ok"}


def test_documents_without_a_timeline_say_which_array_could_be_meant() -> None:
    finding = surveyed({"history": [{"type": "failed"}], "members": ["alice"]})["timeline"]
    assert finding.mark == "warning"
    assert "history" in finding.text
    assert "members" not in finding.text
    assert 'events = "history"' in finding.remedy


def test_documents_that_only_administrators_see_are_counted() -> None:
    finding = surveyed({"createdBy": 5}, {"createdBy": None}, {"members": ["bob"]})["visibility"]
    assert finding.mark == "warning"
    assert finding.text.startswith("2 of 3 can be seen by nobody but an administrator")


def test_types_that_stand_for_nothing_are_named_with_the_table_to_fill() -> None:
    finding = surveyed({"events": [{"type": "began"}, {"type": "began"}, {"no": 1}]})["event types"]
    assert "[event] in the mapping" in finding.remedy
    finding = surveyed({"events": [{"type": "began"}, {"type": "began"}]})["event types"]
    assert (finding.mark, finding.text) == ("warning", "began (2) → no message")
    assert "[event_types]" in finding.remedy


def test_of_documents_only_bounded_printable_names_are_shown() -> None:
    evil = "\x1b[31m\n" + "x" * 10_000
    findings = surveyed(*({"status": f"{number}{evil}", evil: [{}]} for number in range(50)))
    shown = to_text(Report("here", [*findings.values()]), terminal=False)
    assert shown.replace("\n", "").isprintable()
    assert max(len(line) for line in shown.splitlines()) < 2_000
    assert "38 more" in findings["statuses"].text


def test_a_survey_of_nothing_is_empty() -> None:
    mapping = Mapping()
    translator = Translator(mapping, Audience(mapping.visibility).keys_of, max_text=1000)
    assert survey([], translator) == Survey()


def test_names_in_what_is_pasted_stay_texts() -> None:
    role = least_role('a"); db.dropDatabase(); ("', "t\n")
    assert len(role.splitlines()) == 2
    resource = json.loads(role.splitlines()[0].split(".createRole(")[1][:-1])["privileges"][0]["resource"]
    assert resource == {"db": 'a"); db.dropDatabase(); ("', "collection": "t\n"}


def test_for_a_terminal_what_is_pasted_stays_in_one_line() -> None:
    paste = "db." + "x" * 500
    report = Report("here", [Finding("index", "warning", "none " * 50, "Create it.", paste)])
    assert f"\n{paste}\n" in to_text(report, terminal=True)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb://a:1,b:2/app?replicaSet=rs0", "a:1,b:2"),
        ("mongodb+srv://user:hunter2@cluster.example.com/", "cluster.example.com"),
        ("mongodb://hunter:12/3@host/", "the hosts of RELAY_MONGO_URL"),
        ("mongodb://hunter:12?3@host/", "the hosts of RELAY_MONGO_URL"),
        ("mongodb://host/?tlsCertificateKeyFilePassword=hunter@2", "the hosts of RELAY_MONGO_URL"),
    ],
)
def test_of_a_url_only_the_hosts_are_shown(url: str, shown: str) -> None:
    assert hosts_of(load(relay_mongo_url=url)) == shown

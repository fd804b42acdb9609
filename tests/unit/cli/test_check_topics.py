"""How the topics of `relay check` judge answers, also those that no database of the tests gives."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, ObjectId

from relay.cli.check import journal, oplog, rights, snapshots, topology, version
from relay.cli.check.documents import judge as judge_documents
from relay.cli.check.report import Finding, Report, to_text
from relay.cli.check.role import least_role
from relay.cli.check.survey import Survey, survey
from relay.config import load
from relay.source.client import hosts_of
from relay.tasks.links import Links
from relay.tasks.mapping import Mapping
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

NO_LINKS = Links()
OWN = {"resource": {"db": "app", "collection": "tasks"}, "actions": ["find", "changeStream"]}


@pytest.mark.parametrize(
    ("finding", "mark"),
    [
        (version.judge({"version": "5.0.31", "versionArray": [5, 0, 31, 0]}), "problem"),
        (version.judge({"version": "10.1.0", "versionArray": [10, 1, 0, 0]}), "ok"),
        (topology.judge({"msg": "isdbgrid"}), "warning"),
        (topology.judge({"isreplicaset": True}), "problem"),
        (topology.judge({}), "problem"),
        (oplog.judge(3599, whole=False), "warning"),
        (oplog.judge(3599, whole=True), "ok"),
        (oplog.judge(3600, whole=False), "ok"),
        (snapshots.judge(59), "warning"),
        (snapshots.judge(60), "ok"),
        (snapshots.judge(None), "note"),
        (journal.judge(100, True), "note"),
        (journal.judge(100, None), "note"),
        (journal.judge(None, None), "note"),
        (journal.judge(1, True), "ok"),
        (journal.judge(100, False), "ok"),
        (rights.judge([OWN], "app", "tasks"), "ok"),
        (rights.judge([OWN, {**OWN, "actions": ["insert"]}], "app", "tasks"), "warning"),
        (
            rights.judge([{"resource": {"anyResource": True}, "actions": ["anyAction"]}], "app", "tasks"),
            "warning",
        ),
        (
            rights.judge(
                [{"resource": {"db": "app", "collection": ""}, "actions": ["find"]}], "app", "tasks"
            ),
            "note",
        ),
    ],
)
def test_a_judge_marks_each_answer(finding: Finding, mark: str) -> None:
    assert finding.mark == mark
    assert bool(finding.remedy) == (mark != "ok")


def test_an_operator_of_a_sharded_cluster_is_told_what_to_set_and_where_to_read() -> None:
    finding = topology.judge({"msg": "isdbgrid", "maxWireVersion": 25})

    assert "never tried" in finding.text
    assert "up to 20 s" in finding.text
    assert "periodicNoopIntervalSecs=1" in finding.remedy
    _, title, page, _ = re.split(r'"(.*)" in (\S+)\.', finding.remedy)
    assert f"## {title}\n" in (Path(__file__).parents[3] / page).read_text("utf-8")


def surveyed(*documents: dict[str, Any], links: Links = NO_LINKS) -> dict[str, Finding]:
    mapping = Mapping(links=links)
    audience = Audience(mapping.visibility)
    translator = Translator(mapping, audience.keys_of, max_text=1000)
    stored = ({"_id": number, **document} for number, document in enumerate(documents))
    found = survey(stored, translator, audience.looked_at)
    return {finding.name: finding for finding in judge_documents(found, mapping)}


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
    finding = surveyed({"createdBy": 5.5}, {"createdBy": None}, {"members": ["bob"]})["visibility"]
    assert finding.mark == "warning"
    assert finding.text.startswith("2 of 3 can be seen by nobody but an administrator")


@pytest.mark.parametrize(
    ("documents", "mark", "text"),
    [
        (({"createdBy": "ada"}, {"reviewer": "ben"}, {"status": "merged"}), "ok", "2 of 3 wait for somebody"),
        (
            ({"createdBy": "ada"}, {}),
            "note",
            "2 of 2 wait for somebody, 1 of them for nobody who is named",
        ),
        (
            ({"createdBy": 5.5}, {"owner": "ada"}),
            "warning",
            "2 of 2 wait for somebody, 2 of them for nobody who is named",
        ),
    ],
)
def test_tasks_that_wait_and_those_that_wait_for_nobody_are_counted(
    documents: tuple[dict[str, Any], ...], mark: str, text: str
) -> None:
    finding = surveyed(*({"status": "pr_opened", **one} for one in documents))["needs"]
    assert (finding.mark, finding.text) == (mark, text)
    assert ("[needs]" in finding.remedy) == (mark != "ok")


def test_the_types_of_ids_are_counted_for_each_rule() -> None:
    person = Binary(b"a" * 16, 4)
    documents: list[dict[str, Any]] = [
        *({"createdBy": one} for one in ("ada", "7", 7, Int64(7), 7.0, Decimal128("7"), person, None)),
        {"creator": ObjectId(), "members": ["ada", None, Binary(b"a" * 16, 3)]},
    ]
    finding = surveyed(*documents)["ids"]
    assert finding == Finding(
        "ids",
        "ok",
        "rule creator: 4 integers, 2 strings, 1 UUID, 1 ObjectId; rule member: 1 string, 1 legacy UUID; "
        "rule team: no values",
    )


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (datetime(2026, 1, 2), "1 date"),
        (DatetimeMS(2**60), "1 date"),
        (True, "1 boolean"),
        (5.5, "1 other number"),
        (2.0**63, "1 other number"),
        (Decimal128("NaN"), "1 other number"),
        ("", "1 empty string"),
        ({"id": "ada"}, "1 sub-document"),
        (DBRef("users", 1), "1 sub-document"),
        ([["ada"]], "1 nested array"),
        (b"ada", "1 other binary value"),
        (Binary(b"ada", 4), "1 other binary value"),
        ("a\ufffd", "1 other value"),
        (Code("ada"), "1 other value"),
    ],
)
def test_a_value_that_no_claim_can_match_is_a_warning(value: Any, says: str) -> None:
    finding = surveyed({"createdBy": value}, {"createdBy": "ada"})["ids"]
    assert finding.mark == "warning"
    assert finding.text.startswith(f"rule creator: 1 string, and {says} that can match nobody; ")
    assert "[[visibility.rules]]" in finding.remedy


def test_links_are_shown_with_the_tasks_that_have_all_their_fields() -> None:
    links = Links(
        task="https://t.example/{taskId}",
        answer="https://t.example/{issueNumber}/{creator}",
        retry="https://ci.example/{prNumber}",
    )
    asked: dict[str, Any] = {"status": "clarification_needed", "createdBy": "ada"}
    documents = [
        asked,
        asked | {"issueNumber": 7},
        {"status": "analyzing", "issueNumber": 8, "createdBy": "bob"},
    ]
    found = surveyed(*documents, links=links)
    shown = {
        name: (found[f"link {name}"].mark, found[f"link {name}"].text) for name in ("task", "answer", "retry")
    }
    assert shown == {
        "task": ("ok", '"https://t.example/{taskId}": 3 of 3 documents have all its fields'),
        "answer": (
            "ok",
            '"https://t.example/{issueNumber}/{creator}": 1 of 2 documents with questions have all its fields',
        ),
        "retry": ("note", '"https://ci.example/{prNumber}": none of these documents is one that failed'),
    }
    broken = surveyed({"status": "failed"}, links=links)["link retry"]
    assert (broken.mark, "retry under [links]" in broken.remedy) == ("warning", True)
    assert not [name for name in surveyed(asked) if name.startswith("link")]


def test_event_types_that_are_numbers_are_shown_like_statuses() -> None:
    values = (3, Int64(3), 3.0, Decimal128("3.0"), "3")
    shown = surveyed(*({"status": value, "events": [{"type": value}]} for value in values))
    assert shown["statuses"].text == shown["event types"].text == "3 (5) → no message"


def test_event_types_without_a_message_are_listed_with_the_table_to_fill() -> None:
    finding = surveyed({"events": [{"type": "began"}, {"type": "began"}, {"no": 1}]})["event types"]
    assert "[event] in the mapping" in finding.remedy
    finding = surveyed({"events": [{"type": "began"}, {"type": "began"}]})["event types"]
    assert (finding.mark, finding.text) == ("warning", "began (2) → no message")
    assert "[event_types]" in finding.remedy


def test_names_from_documents_are_shown_bounded_and_printable() -> None:
    evil = "\x1b[31m\n" + "x" * 10_000
    findings = surveyed(*({"status": f"{number}{evil}", evil: [{}]} for number in range(50)))
    shown = to_text(Report("here", [*findings.values()]), terminal=False)
    assert shown.replace("\n", "").isprintable()
    assert max(len(line) for line in shown.splitlines()) < 2_000
    assert "38 more" in findings["statuses"].text


def test_a_survey_of_no_documents_is_empty() -> None:
    mapping = Mapping()
    audience = Audience(mapping.visibility)
    translator = Translator(mapping, audience.keys_of, max_text=1000)
    assert survey([], translator, audience.looked_at) == Survey()


def test_names_in_text_to_paste_stay_string_literals() -> None:
    role = least_role('a"); db.dropDatabase(); ("', "t\n")
    assert len(role.splitlines()) == 2
    resource = json.loads(role.splitlines()[0].split(".createRole(")[1][:-1])["privileges"][0]["resource"]
    assert resource == {"db": 'a"); db.dropDatabase(); ("', "collection": "t\n"}


def test_text_to_paste_is_not_wrapped_on_a_terminal() -> None:
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
def test_only_the_hosts_of_a_url_are_shown(url: str, shown: str) -> None:
    assert hosts_of(load(relay_mongo_url=url)) == shown

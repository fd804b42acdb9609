"""The mapping file: what it may hold, and the sentence for every mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.doc_snippets import REDACTION, blocks

from relay.errors import StartupError
from relay.pipeline import load_mapping
from relay.protocol.types import Kind, TaskSummary
from relay.tasks.links import FIELDS
from relay.tasks.mapping import Mapping, RoleRule, Rule, parse
from relay.tasks.redact import Redaction


def mapping(text: str) -> Mapping:
    return parse(text, Path("mapping.toml"))


def test_an_empty_mapping_file_gives_the_defaults() -> None:
    assert mapping("") == Mapping()


def test_a_mapping_file_changes_only_the_keys_that_it_has() -> None:
    read = mapping(
        """
        events = "history.items"
        lifecycle_from = "events"
        list_order = "createdAt"
        [fields]
        title = "subject"
        status = ["phase", "info.state"]
        [event]
        type = ["what"]
        [event_types]
        dispatched = ["ticket filed"]
        [statuses]
        failed = "broken"
        [[visibility.rules]]
        name = "owner"
        field = "owner.id"
        claim = "sub"
        [[visibility.sees_all]]
        claim = "groups"
        value = "ops"
        [redact]
        names = ["ticketPin"]
        patterns = ['ACME-\\d+']
        """,
    )
    assert (read.events, read.lifecycle_from, read.list_order) == ("history.items", "events", "createdAt")
    assert (read.fields.title, read.fields.status) == (("subject",), ("phase", "info.state"))
    assert read.fields.creator == Mapping().fields.creator
    assert read.event_types["ticket_filed"] is Kind.DISPATCHED
    assert "issue_created" not in read.event_types
    assert read.event_types["merged"] is Kind.PR_MERGED
    assert read.statuses["broken"] is Kind.FAILED
    assert read.visibility.rules == (Rule("owner", ("owner.id",), "sub"),)
    assert read.visibility.sees_all == (RoleRule("groups", "ops"),)
    assert read.redact == Redaction(("ticketPin",), (r"ACME-\d+",))


def test_statuses_types_and_roles_may_be_integers() -> None:
    read = mapping(
        """
        [statuses]
        analyzing = [1, "queued"]
        failed = -1
        pr_opened = [3.0]
        [event_types]
        dispatched = 3
        [[visibility.sees_all]]
        claim = "level"
        value = 9
        """,
    )
    kinds = {"1": Kind.ANALYZING, "queued": Kind.ANALYZING, "-1": Kind.FAILED, "3": Kind.PR_OPENED}
    assert {name: read.statuses[name] for name in kinds} == kinds
    assert read.event_types["3"] is Kind.DISPATCHED
    assert read.visibility.sees_all == (RoleRule("level", "9"),)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[statuses]\nfailed = [true]", "statuses.failed"),
        ("[statuses]\nfailed = [1.5]", "statuses.failed"),
        ("[statuses]\nfailed = [[3]]", "statuses.failed"),
        ("[statuses]\nfailed = 3\nanalyzing = '3.0'", "statuses must not name '3' for two kinds of message"),
        ("[event_types]\nfailed = 2026-01-02", "event_types.failed"),
        ("[visibility]\nsees_all = [{claim = 'roles', value = true}]", "visibility.sees_all[0]"),
        ("[fields]\ntitel = 'x'", "fields.titel"),
        ("[fields]\ntitle = 5", "fields.title"),
        ("[fields]\ntitle = []", "fields.title"),
        ("[fields]\ntitle = 'a..b'", "fields.title"),
        ("[fields]\ntitle = '$where'", "fields.title"),
        ("fields = 3", "fields"),
        ("events = ['a', 'b']", "events"),
        ("lifecycle_from = 'all'", "lifecycle_from"),
        ("[event_types]\ndispatched = ['merged']", "event_types"),
        ("[statuses]\ncreated = ['new']", "statuses.created"),
        ("[[visibility.rules]]\nname = 'a'\nfield = 'x'", "visibility.rules[0].claim"),
        ("[[visibility.rules]]\nname = 'a'\nclaim = 'sub'", "visibility.rules[0].field"),
        ("[visibility]\nsees_all = [{claim = 'roles'}]", "visibility.sees_all[0]"),
        ("[fields]\ntitle = ['title', 'events.0.title']", "fields.title: 'events.0.title' lies in the array"),
        ("list_order = 'events.at'", "list_order: 'events.at' lies in the array"),
        (
            "events = 'log'\n[[visibility.rules]]\nname = 'a'\nfield = 'log.by'\nclaim = 'sub'",
            "rules[0].field",
        ),
        (
            "events = 'a.log'\n[[visibility.rules]]\nname = 'a'\nfield = 'a.log'\nclaim = 'sub'",
            "rules[0].field",
        ),
        ("events = 'questions'", "fields.questions"),
        ('[fields]\ntitle = "a\\u0000b"', "fields.title"),
        ("[fields]\ntitle = 'a\ufffd'", "fields.title"),
        ("[redact]\nname = ['x']", "redact.name"),
        ("[redact]\nnames = 'x'", "redact.names"),
        ("[redact]\nnames = ['x', 5]", "redact.names"),
        ("[redact]\nnames = ['x', '_-']", "redact.names[1]"),
        ("[redact]\nkeep = ['']", "redact.keep[0]"),
        ("[redact]\npatterns = ['a', '(']", "redact.patterns[1]"),
        ("[redact]\npatterns = ['a*']", "redact.patterns[0]"),
        ("[redact]\npatterns = ['" + "x" * 201 + "']", "redact.patterns[0] is longer than 200"),
        ("[redact]\npatterns = ['(?=a)b']", "redact.patterns[0] cannot be searched"),
        ("redact = 5", "redact must be a table"),
        ("[visibility]\nrules = 5", "visibility.rules must be a list of tables with claim, field, name."),
        ("[visibility]\nrules = [5]", "visibility.rules[0] must be a table."),
        (
            "[[visibility.rules]]\nname = 'a'\nfield = ['x', 5]\nclaim = 'c'",
            "visibility.rules[0].field[1] must be a",
        ),
        (
            "[[visibility.rules]]\nname = 'a:b'\nfield = 'x'\nclaim = 'c'",
            "visibility.rules[0].name must be a word",
        ),
        (
            "visibility.rules = [{name = 'a', field = 'x', claim = 'c'}, {name = 'a', field = 'y', claim = 'd'}]",
            "'a'",
        ),
        ("events = 5", 'events must be a dotted path, such as "github.prUrl", but is 5.'),
        ("[statuses]\nfailed = '--'", 'statuses.failed must have a letter or a digit, but is "--".'),
        ("[event]\nkind = 'x'", "event.kind is not a key of the mapping; known here are at, payload, type."),
        ("not toml", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_mapping_file_is_reported_with_its_key(text: str, key: str) -> None:
    with pytest.raises(StartupError) as failure:
        mapping(text)
    assert key in str(failure.value)
    assert "mapping.toml" in str(failure.value)


def test_a_mapping_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes("title = 'Zo\xeb'".encode("latin-1"))
    for name, reason in (
        ("nowhere.toml", "cannot be read: No such file"),
        ("latin.toml", "is not valid TOML"),
    ):
        with pytest.raises(StartupError, match=f"^The mapping file .*{name} {reason}"):
            load_mapping(tmp_path / name)


def test_a_mapping_file_without_an_end_is_refused() -> None:
    with pytest.raises(
        StartupError, match=r"^The mapping file /dev/zero cannot be read: it is larger than 1024 KiB\.$"
    ):
        load_mapping(Path("/dev/zero"))


def test_a_mapping_file_may_end_its_lines_as_any_system_does(tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    for end in (b"\n", b"\r\n", b"\r"):
        file.write_bytes(end.join([b'events = "log"', b'list_order = "at"', b""]))
        assert load_mapping(file) == Mapping(events="log", list_order="at")


def test_the_kept_paths_of_a_mapping_do_not_overlap() -> None:
    roots = Mapping().roots()
    assert "github.prUrl" in roots
    assert not any(other != path and path.startswith(other + ".") for path in roots for other in roots)


def test_the_mapping_file_of_the_redaction_page_is_read_as_the_page_says() -> None:
    (file,) = blocks(REDACTION, "toml")
    assert mapping(file).redact == Redaction(("ticketPin",), (r"ACME-\d{4}-\w+",), ("token",))


def test_the_links_of_a_mapping_are_kept_as_they_are_written() -> None:
    read = mapping(
        """
        [links]
        task = "https://tracker.example/t/{taskId}?by={creator}#{prNumber}"
        retry = "HTTP://[::1]:8080/retry/{taskId}"
        """
    )
    assert read.links.named() == {
        "task": "https://tracker.example/t/{taskId}?by={creator}#{prNumber}",
        "retry": "HTTP://[::1]:8080/retry/{taskId}",
    }
    assert mapping("").links.named() == {}


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("javascript:alert({taskId})", "must be an address that begins with https:// or http://"),
        ("/tasks/{taskId}", "must be an address that begins with https:// or http://"),
        ("ftp://tracker.example/{taskId}", "must be an address that begins with https:// or http://"),
        ("https://{creator}/", "must name its host itself"),
        ("https://{creator}.example/", "must name its host itself"),
        ("https:///tasks", "must name a host"),
        ("https://ann:pw@tracker.example/", "must not carry a user or a password"),
        ("https://tracker.example:port/", "with a host and a port that exist"),
        ("https://tracker.example/a b", "without spaces and backslashes"),
        ("https://tracker.example\\\\@evil.example/", "without spaces and backslashes"),
        ("https://tracker.example/\\u202e", "without spaces and backslashes"),
        (
            "https://tracker.example/{id}",
            "has {id}, which is no field of a task; known here are taskId, title",
        ),
        ("https://tracker.example/{questions}", "has {questions}, which is no field of a task"),
        ("https://tracker.example/{}", "has {}, which is no field of a task"),
        ("https://tracker.example/{taskId", "must write each field in a pair of braces"),
        ("https://tracker.example/taskId}", "must write each field in a pair of braces"),
        ("https://tracker.example/{{taskId}}", "must write each field in a pair of braces"),
        ("https://tracker.example/" + "x" * 2000, "must have at most 2000 characters"),
    ],
)
def test_a_mistake_in_a_link_is_reported_in_a_sentence(template: str, problem: str) -> None:
    with pytest.raises(StartupError, match=r"^The mapping file mapping\.toml: links\.answer ") as failure:
        mapping(f'[links]\nanswer = "{template}"')
    assert problem in str(failure.value)
    assert "\\" not in str(failure.value)


def test_the_links_of_a_mapping_are_a_table_of_three() -> None:
    with pytest.raises(
        StartupError, match=r"links\.open is not a key of the mapping; known here are answer, retry, task\."
    ):
        mapping("[links]\nopen = 'https://tracker.example/'")
    with pytest.raises(StartupError, match=r"links\.task must be an address"):
        mapping("[links]\ntask = 5")


def test_a_link_may_hold_every_field_of_a_summary_that_is_one_short_value() -> None:
    assert {*TaskSummary.__annotations__} - {*FIELDS} == {"eventCount", "error", "questions", "waitsFor"}
    assert mapping("[links]\ntask = 'https://t.example/" + "".join(f"{{{name}}}" for name in FIELDS) + "'")

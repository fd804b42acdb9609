"""Settings and mapping files: what is accepted, and the sentence for what is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from relay import config
from relay.errors import StartupError
from relay.protocol import Kind
from relay.tasks.mapping import Mapping, RoleRule, Rule, load

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_ALLOWED_ORIGINS", "https://a.example.com, http://b.example.com:3000")
    monkeypatch.setenv("RELAY_JWT_ALGORITHMS", "HS256,HS512")
    settings = config.load()
    assert settings.relay_allowed_origins == ("https://a.example.com", "http://b.example.com:3000")
    assert settings.relay_jwt_algorithms == ("HS256", "HS512")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("RELAY_PORT", "eighty", "integer"),
        ("RELAY_PORT", "70000", "65535"),
        ("RELAY_JWT_SECRET", "hunter2hunter2", "at least 32 bytes"),
        ("RELAY_JWT_ALGORITHMS", "HS256,RS256", "HS256, HS384, HS512"),
        ("RELAY_JWT_ALGORITHMS", "none", "HS256"),
        ("RELAY_ALLOWED_ORIGINS", "https://a.example.com/", "exact origins"),
        ("RELAY_ALLOWED_ORIGINS", "*", "exact origins"),
        ("RELAY_LOG_FORMAT", "xml", "console"),
    ],
)
def test_a_bad_value_names_the_variable_and_what_is_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as failure:
        config.load()
    assert str(failure.value).startswith(f"{name}: ")
    assert says in str(failure.value)
    assert "hunter2" not in str(failure.value)


def test_settings_never_show_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_JWT_SECRET", SECRET)
    monkeypatch.setenv("RELAY_MONGO_URL", "mongodb://user:password@host/")
    shown = repr(config.load()) + str(config.load())
    assert SECRET not in shown
    assert "password" not in shown


def mapping(tmp_path: Path, text: str) -> Mapping:
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    return load(path)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert mapping(tmp_path, "") == Mapping()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    read = mapping(
        tmp_path,
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


@pytest.mark.parametrize(
    ("text", "key"),
    [
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
        ("not toml", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_file_names_its_key(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(StartupError) as failure:
        mapping(tmp_path, text)
    assert key in str(failure.value)
    assert "mapping.toml" in str(failure.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="cannot be read"):
        load(tmp_path / "nowhere.toml")


def test_what_is_kept_of_a_document_has_no_path_inside_another() -> None:
    roots = Mapping().roots()
    assert "github.prUrl" in roots
    assert not any(other != path and path.startswith(other + ".") for path in roots for other in roots)


def test_every_setting_of_the_documents_is_spelled_alike() -> None:
    names: Any = config.Settings.model_fields
    assert all(name.startswith(("relay_", "feature_")) for name in names)


def test_the_readme_is_true_of_mappings_and_settings(tmp_path: Path) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    read = mapping(tmp_path, example)
    assert read.events == "history.items"
    assert read.visibility.rules == (Rule("owner", ("owner.id",), "sub"),)
    named = set(re.findall(r"`((?:RELAY|FEATURE)_[A-Z_]+)`", readme))
    assert {name for name in named if name.lower() not in config.Settings.model_fields} == {
        "RELAY_URL",
        "RELAY_TOKEN",
    } & named
    assert {name.upper() for name in config.Settings.model_fields} <= named

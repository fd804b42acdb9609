"""The documents are true: their mapping file reads their document as they say, and their lists are complete."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from bson import Timestamp, json_util
from support.doc_snippets import CONTRIBUTING, DOCS, GUIDES, README, ROOT, blocks

from relay.cli.conformance.client import Address
from relay.cli.tail.changes import messages_of
from relay.config import SECRETS, Settings
from relay.metrics import DroppedLines, Metrics, SharedStream, WorkerMetrics
from relay.pipeline import load_mapping
from relay.protocol.types import Close, Kind
from relay.secret_files import variable
from relay.source.change import Change, Updated, key_of
from relay.tasks.mapping import EVENT_TYPES, STATUSES, Fields, Mapping
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience, Principal

MAPPING = GUIDES / "mapping.md"


def mapping(tmp_path: Path) -> Mapping:
    (text,) = blocks(MAPPING, "toml")
    file = tmp_path / "mapping.toml"
    file.write_text(text, "utf-8")
    return load_mapping(file)


def test_the_mapping_page_names_every_field_and_kind_of_the_file() -> None:
    page = MAPPING.read_text("utf-8")
    for name in [field.name for field in fields(Fields)] + [
        kind.removeprefix("task:") for kind in (*EVENT_TYPES, *STATUSES)
    ]:
        assert re.search(rf"`{name}`|^{name} = ", page, re.MULTILINE), name


def test_the_mapping_page_shows_the_task_that_its_document_becomes(tmp_path: Path) -> None:
    read = mapping(tmp_path)
    audience = Audience(read.visibility)
    stored, shown, update = blocks(MAPPING, "json")
    document = json_util.loads(stored)
    translator = Translator(read, audience.keys_of, max_text=1000)
    task = translator.read(document)
    assert task.summary == json.loads(shown)

    (path, event), *_ = json.loads(update)["$push"].items()
    change = Change(
        key_of(document["_id"]), document["_id"], Timestamp(10, 1), None, Updated({f"{path}.2": event})
    )
    step = translator.translate(task, change)
    messages = messages_of(step, translator.view, room=True, dashboard=True)
    assert [message.type for message in messages] == [Kind.EVENT_ADDED, Kind.PR_OPENED, Kind.LIST_UPDATED]
    assert messages[0].data["event"] == {
        "type": "change proposed",
        "at": "2023-11-14T22:28:20.000Z",
        "data": event,
    }
    assert messages[1].data["prUrl"] == event["info"]["change"]
    assert read.list_order == "stamps.born"


def test_the_rules_of_the_mapping_page_open_its_document_to_the_users_it_names(tmp_path: Path) -> None:
    audience = Audience(mapping(tmp_path).visibility)
    document = json_util.loads(blocks(MAPPING, "json")[0])

    def sees(sub: str, **claims: Any) -> bool:
        return bool(audience.keys_for(Principal(sub, {"sub": sub, **claims}, 0)) & audience.keys_of(document))

    assert all(map(sees, ("ada", "ben", "cy")))
    assert not sees("dan")
    assert not sees("dan", roles=["admin"])
    assert sees("dan", groups=["ops"])


@pytest.fixture(scope="module")
def code() -> str:
    """All modules of the relay, one after another."""
    folder = ROOT / "relay"
    modules = (path for one in folder.iterdir() if one.name != "web" for path in (one, *one.rglob("*.py")))
    return "".join(path.read_text("utf-8") for path in modules if path.suffix == ".py")


@pytest.mark.parametrize(
    "sentence",
    [
        "cannot be followed yet; trying again",
        "must be UTF-8",
        "the collection can no longer be followed",
        "out of file descriptors",
        "change stream reopened",
        "a page of an unknown origin was refused",
    ],
)
def test_the_troubleshooting_page_quotes_what_the_relay_says(sentence: str, code: str) -> None:
    assert sentence in (GUIDES / "troubleshooting.md").read_text("utf-8")
    assert sentence in code


def test_the_operators_page_names_every_metric() -> None:
    metrics = Metrics()
    metrics.show(lambda: SharedStream("alone", 0.0, 0, 0, 0))
    metrics.registry.register(DroppedLines(lambda: 0))
    text = metrics.text() + WorkerMetrics().text()
    made = set(re.findall(r"^# TYPE (\w+) ", text.decode(), re.MULTILINE))
    made = {name for name in made if not name.startswith("process_")}
    listed = set(
        re.findall(r"^\| `(relay_\w+)` \|", (GUIDES / "operating.md").read_text("utf-8"), re.MULTILINE)
    )
    assert listed == made


def test_the_documents_name_only_settings_that_exist() -> None:
    for page in (README, CONTRIBUTING, *DOCS.rglob("*.md")):
        text = page.read_text("utf-8")
        for beginning in re.findall(r"\b((?:RELAY|FEATURE)_[A-Z_]*)…", text):  # of several
            assert any(name.upper().startswith(beginning) for name in Settings.model_fields), beginning
        named = set(re.findall(r"\b((?:RELAY|FEATURE)_[A-Z_]+)\b(?!…)", text))
        assert {name for name in named if name.lower() not in Settings.model_fields} <= {
            "RELAY_URL",
            "RELAY_ADMIN_URL",
            "RELAY_TOKEN",
            "RELAY_TEST_KILLS",
            *Address("", "", "", "").environment,
            *map(variable, SECRETS),
        }


def test_the_code_names_only_pages_that_exist(code: str) -> None:
    pages = set(re.findall(r"docs/[\w/-]+\.md", code))
    assert pages
    assert {page for page in pages if not (ROOT / page).exists()} == set()


def test_the_documents_name_only_close_codes_that_exist() -> None:
    for page in DOCS.rglob("*.md"):
        named = {int(code) for code in re.findall(r"\b(4[45]\d\d)\b", page.read_text("utf-8"))}
        assert named <= set(Close), page.name

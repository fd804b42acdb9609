"""The types in Go say what the schema says."""

from __future__ import annotations

from scripts.generated_go import types

WRITTEN = types()


def struct(name: str) -> list[list[str]]:
    """The fields of a type: name, type, tag."""
    body = WRITTEN.partition(f"type {name} struct {{\n")[2].partition("\n}")[0]
    return [line.split() for line in body.splitlines()]


def test_every_message_has_a_name_and_its_type() -> None:
    assert 'TypeTaskEventAdded           = "task:event_added"' in WRITTEN
    assert struct("TaskPosition") == [
        ["TaskID", "string", '`json:"taskId"`'],
        ["Since", "*int64", '`json:"since,omitempty"`'],
        ["Head", "*string", '`json:"head,omitempty"`'],
    ]


def test_what_may_be_missing_can_be_told_from_zero_and_from_null() -> None:
    fields = {field[0]: field[1:] for field in struct("TaskSummary") + struct("TaskState") + struct("Event")}
    assert fields["EventCount"] == ["int64", '`json:"eventCount"`']
    assert fields["PrNumber"] == ["*int64", '`json:"prNumber,omitempty"`']
    assert fields["PrURL"] == ["string", '`json:"prUrl,omitempty"`']
    assert fields["WaitsFor"] == ["map[string][]string", '`json:"waitsFor,omitempty"`']
    assert fields["Events"] == ["[]*Event", '`json:"events"`']
    assert fields["Type"] == ["*string", '`json:"type"`']
    assert fields["Data"] == ["json.RawMessage", '`json:"data"`']

"""An entry keeps its content on the way through bytes, and bytes that are no entry are refused."""

from __future__ import annotations

import bson
import pytest
from bson import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from relay.source.shared.entry import Entry, joined, merged

NUMBERS = st.integers(0, 2**32 - 1)
TIMES = st.builds(Timestamp, NUMBERS, NUMBERS)
DOCUMENTS = st.builds(lambda value: bson.encode({"v": value}), st.text() | st.binary())
EVENTS = st.lists(DOCUMENTS, max_size=5)
WITH_EVENTS = st.tuples(TIMES, TIMES, DOCUMENTS, EVENTS.map(joined), st.booleans(), st.none())
REOPENED = st.tuples(TIMES, TIMES, DOCUMENTS, st.just(b""), st.booleans(), st.text())
ENTRIES = (WITH_EVENTS | REOPENED).map(Entry._make)


@given(ENTRIES)
def test_an_entry_is_the_same_after_encoding_and_decoding(entry: Entry) -> None:
    assert Entry.decode(entry.encode()) == entry


@given(EVENTS)
def test_the_events_of_an_entry_are_split_as_they_were_joined(events: list[bytes]) -> None:
    assert Entry(Timestamp(1, 1), Timestamp(1, 2), b"", joined(events)).split() == events


@given(ENTRIES, st.data())
def test_a_head_or_token_that_is_cut_off_is_refused(entry: Entry, data: st.DataObject) -> None:
    whole = entry.encode()
    rest = len(entry.events) if entry.reopened is None else len(entry.reopened.encode())
    cut = data.draw(st.integers(0, len(whole) - rest - 1))

    with pytest.raises(ValueError, match=r"cut off|unknown layout"):
        Entry.decode(whole[:cut])


@given(st.binary(max_size=200))
def test_any_bytes_either_make_an_entry_or_are_refused(some: bytes) -> None:
    try:
        entry = Entry.decode(some)
        entry.split()
    except ValueError:
        return
    assert Entry.decode(entry.encode()) == entry


@pytest.mark.parametrize("events", [b"\x05\0\0\0", b"\x04\0\0\0\0", b"\xff\xff\xff\xff\0", b"\x06\0\0\0\0"])
def test_events_that_are_not_a_row_of_documents_are_refused(events: bytes) -> None:
    with pytest.raises(ValueError, match="an event"):
        Entry(Timestamp(1, 1), Timestamp(1, 2), b"", events).split()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1), EVENTS, st.booleans(), st.booleans())))
def test_merged_entries_have_the_same_changes_and_lead_to_the_same_positions(
    steps: list[tuple[int, int, list[bytes], bool, bool]],
) -> None:
    entries = []
    at = 0
    for size, gap, events, is_current, is_reopened in steps:
        start, at = at + gap, at + gap + size
        entries.append(
            Entry(Timestamp(1, at), Timestamp(1, at), b"%d" % at, b"", is_current, "dropped")
            if is_reopened
            else Entry(Timestamp(1, start), Timestamp(1, at), b"%d" % at, joined(events), is_current)
        )

    fewer = merged(entries)

    assert b"".join(entry.events for entry in fewer) == b"".join(entry.events for entry in entries)
    assert [one for one in fewer if one.reopened] == [one for one in entries if one.reopened]
    by_end = {entry.end: entry for entry in entries}
    for before, after in zip([None, *fewer], fewer, strict=False):
        assert after.token == by_end[after.end].token
        assert before is None or before.end < after.start or before.reopened or after.reopened
    if entries:
        assert (fewer[0].start, fewer[-1].end) == (entries[0].start, entries[-1].end)


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_merged_entries_are_current_if_one_of_them_is_at_their_end(
    first: bool, second: bool, moves: bool
) -> None:
    start, middle = Timestamp(1, 1), Timestamp(1, 2)
    end = Timestamp(1, 3) if moves else middle

    [entry] = merged(
        [Entry(start, middle, b"", is_current=first), Entry(middle, end, b"", is_current=second)]
    )

    assert entry.is_current == (second or (first and not moves))

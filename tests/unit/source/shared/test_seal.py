"""A sealed entry is opened with its key at its own place, and nowhere else."""

from __future__ import annotations

import zlib

import bson
import pytest
from bson import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from relay.source.cursor import Witness
from relay.source.shared.entry import Entry, joined
from relay.source.shared.seal import Seal

OLD, NEW = bytes(32), bytes(range(32))
SECRET = "a sentence that only its readers may see"
ENTRY = Entry(Timestamp(7, 1), Timestamp(7, 9), b"token", joined([bson.encode({"text": SECRET})] * 3))
WITNESS = Witness(Timestamp(7, 2), b"witness")


@pytest.mark.parametrize("keys", [[], [OLD], [NEW, OLD]], ids=["plain", "one key", "two keys"])
@pytest.mark.parametrize("witness", [WITNESS, None], ids=["witness", "no witness"])
def test_an_entry_is_the_same_after_sealing_and_opening(keys: list[bytes], witness: Witness | None) -> None:
    seal = Seal(keys, "app.tasks")
    assert seal.open(ENTRY.end, seal.close(ENTRY, witness)) == (ENTRY, witness)


def test_keys_are_rotated_by_adding_the_new_one_at_the_end_and_then_moving_it_to_the_front() -> None:
    both, other = Seal([OLD, NEW], "app.tasks"), Seal([NEW, OLD], "app.tasks")
    for one, another in ((both, other), (other, both)):
        assert another.open(ENTRY.end, one.close(ENTRY, WITNESS)) == (ENTRY, WITNESS)
    with pytest.raises(ValueError, match="RELAY_REDIS_KEY"):
        Seal([OLD], "app.tasks").open(ENTRY.end, other.close(ENTRY, WITNESS))


def test_nothing_of_an_entry_can_be_read_without_the_key() -> None:
    sealed = Seal([NEW], "app.tasks").close(ENTRY, WITNESS)
    assert SECRET.encode() not in sealed
    assert b"token" not in sealed
    with pytest.raises(zlib.error):
        zlib.decompress(sealed[4:])


@pytest.mark.parametrize("keys", [[], [NEW]], ids=["plain", "encrypted"])
@given(data=st.data())
def test_an_entry_that_is_damaged_moved_or_of_another_stream_is_refused(
    keys: list[bytes], data: st.DataObject
) -> None:
    seal = Seal(keys, "app.tasks")
    sealed = seal.close(ENTRY, WITNESS)
    at = data.draw(st.integers(0, len(sealed) - 1))
    damaged = sealed[:at] + bytes([sealed[at] ^ data.draw(st.integers(1, 255))]) + sealed[at + 1 :]

    with pytest.raises(ValueError, match="an entry"):
        seal.open(Timestamp(7, 8), sealed)
    with pytest.raises(ValueError, match="an entry"):
        seal.open(ENTRY.end, sealed[:at])
    if keys:
        for other in (Seal(keys, "app.others"), Seal([OLD], "app.tasks"), Seal([], "app.tasks")):
            with pytest.raises(ValueError, match="an entry"):
                other.open(ENTRY.end, sealed)
        with pytest.raises(ValueError, match="an entry"):
            seal.open(ENTRY.end, damaged)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_opened_or_refused(some: bytes, packs: bool) -> None:
    sealed = zlib.compress(some) if packs else some
    for keys in ([], [NEW]):
        try:
            Seal(keys, "app.tasks").open(ENTRY.end, sealed)
        except ValueError:
            continue

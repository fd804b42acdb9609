"""What the database's errors mean, and how long the tail waits after them."""

from __future__ import annotations

import pytest
from pymongo.errors import AutoReconnect, CursorNotFound, NetworkTimeout, OperationFailure, PyMongoError

from relay.source.diagnosis import FOLLOW, READ, explain
from relay.source.errors import MEANINGS, Meaning, meaning_of
from relay.source.stream import BACKOFF_MAX_S, BACKOFF_MIN_S, _wait


@pytest.mark.parametrize(
    "code", [6, 7, 43, 50, 89, 91, 133, 136, 175, 189, 234, 237, 262, 9001, 10107, 11600]
)
def test_what_is_not_in_the_table_passes(code: int) -> None:
    assert meaning_of(OperationFailure("", code)) is Meaning.PASSES


@pytest.mark.parametrize("failure", [AutoReconnect(), NetworkTimeout(), PyMongoError(), ValueError()])
def test_what_has_no_code_passes(failure: Exception) -> None:
    assert meaning_of(failure) is Meaning.PASSES


@pytest.mark.parametrize("code", MEANINGS)
def test_what_is_in_the_table_means_what_it_says(code: int) -> None:
    assert meaning_of(OperationFailure("", code)) is MEANINGS[code]


def test_the_label_of_a_stream_that_cannot_be_resumed_counts_whatever_the_code() -> None:
    labelled = CursorNotFound("", 43, {"errorLabels": ["NonResumableChangeStreamError"]})
    assert meaning_of(labelled) is Meaning.PLACE_LOST


@pytest.mark.parametrize("about", [FOLLOW, READ])
@pytest.mark.parametrize("code", [*MEANINGS, 91, 6])
def test_what_is_said_is_one_sentence_without_the_words_of_the_server(code: int, about: str) -> None:
    found = explain(
        OperationFailure("user hunter2 …", code, {"errmsg": "hunter2"}), about, "app.ta\x1b[31msks"
    )
    assert str(found).endswith(".")
    assert str(found).isprintable()
    assert "hunter2" not in str(found)
    assert found.lasting == (MEANINGS.get(code) is Meaning.FATAL)


def test_a_capped_collection_is_told_from_one_that_was_created_since() -> None:
    """They have one code, and only one of them passes."""
    capped = {"errmsg": "Reading from capped collections with readConcern snapshot is not supported"}
    assert meaning_of(OperationFailure("", 246, capped)) is Meaning.FATAL
    assert meaning_of(OperationFailure("", 246, {"errmsg": "Unable to read"})) is Meaning.MOMENT_LOST
    assert "capped" in str(explain(OperationFailure("", 246, capped), READ, "app.tasks"))


def test_the_wait_grows_to_its_bound_and_stays_there_for_ever() -> None:
    """After some hours without a database it grew out of what a float holds, and ended the relay."""
    waits = [_wait(failures, 1.0) for failures in range(1, 20)]
    assert waits == sorted(waits)
    assert waits[0] == BACKOFF_MIN_S * 2
    assert _wait(100_000, 1.0) == BACKOFF_MAX_S
    assert _wait(100_000, 0.0) == BACKOFF_MAX_S / 2

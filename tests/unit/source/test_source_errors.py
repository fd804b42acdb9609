"""The meaning of the database's errors, and the delay of the tail after them."""

from __future__ import annotations

from typing import get_args

import pytest
from bson import Timestamp
from pymongo.errors import AutoReconnect, CursorNotFound, NetworkTimeout, OperationFailure, PyMongoError

from relay.errors import PositionLost, Unavailable
from relay.metrics import DatabaseError
from relay.source.diagnosis import FOLLOW, READ, explain
from relay.source.errors import MEANINGS, Meaning, kind_of, meaning_of
from relay.source.stream import DROPPED, GONE, Reopened
from relay.source.tail import BACKOFF_MAX_S, BACKOFF_MIN_S, _wait


@pytest.mark.parametrize(
    "code", [6, 7, 43, 50, 89, 91, 133, 136, 175, 189, 234, 237, 262, 9001, 10107, 11600]
)
def test_an_unknown_error_code_is_temporary(code: int) -> None:
    assert meaning_of(OperationFailure("", code)) is Meaning.PASSES


@pytest.mark.parametrize("failure", [AutoReconnect(), NetworkTimeout(), PyMongoError(), ValueError()])
def test_an_error_without_a_code_is_temporary(failure: Exception) -> None:
    assert meaning_of(failure) is Meaning.PASSES


@pytest.mark.parametrize("code", MEANINGS)
def test_an_error_code_of_the_table_has_its_meaning(code: int) -> None:
    assert meaning_of(OperationFailure("", code)) is MEANINGS[code]


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (NetworkTimeout(), "no_answer"),
        (AutoReconnect(), "no_answer"),
        (OperationFailure("", 50), "time_limit"),
        (OperationFailure("", 189), "passing"),
        (OperationFailure("", 286), "position_lost"),
        (OperationFailure("", 239), "moment_lost"),
        (OperationFailure("", 13), "refused"),
        (Unavailable("the member has not reached the position yet"), "passing"),
        (ValueError("its resume tokens do not carry the cluster time"), "unusable"),
    ],
)
def test_a_failure_is_counted_by_its_kind(failure: Exception, kind: str) -> None:
    assert kind_of(failure) == kind


def test_every_kind_of_a_failure_has_a_label() -> None:
    kinds = {kind_of(OperationFailure("", code)) for code in (*MEANINGS, 50, 189)}
    assert kinds | {"no_answer", "unusable"} == set(get_args(DatabaseError))


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (DROPPED, "collection_dropped"),
        (f"{GONE} (286)", "position_lost"),
        (str(PositionLost("read at Timestamp(1, 1): code 239")), "position_lost"),
        ("anything else", "other"),
    ],
)
def test_a_reopened_stream_is_counted_by_its_cause(reason: str, cause: str) -> None:
    assert Reopened(Timestamp(1, 1), reason, b"").cause == cause


def test_the_label_of_a_non_resumable_stream_outweighs_the_error_code() -> None:
    labelled = CursorNotFound("", 43, {"errorLabels": ["NonResumableChangeStreamError"]})
    assert meaning_of(labelled) is Meaning.PLACE_LOST


@pytest.mark.parametrize("about", [FOLLOW, READ])
@pytest.mark.parametrize("code", [*MEANINGS, 91, 6])
def test_an_error_is_reported_in_one_sentence_without_the_servers_text(code: int, about: str) -> None:
    found = explain(
        OperationFailure("user hunter2 …", code, {"errmsg": "hunter2"}), about, "app.ta\x1b[31msks"
    )
    assert str(found).endswith(".")
    assert str(found).isprintable()
    assert "hunter2" not in str(found)
    assert found.lasting == (MEANINGS.get(code) is Meaning.FATAL)


def test_a_capped_collection_is_distinguished_from_one_created_since() -> None:
    """Both have the same error code, but only one of them is temporary."""
    capped = {"errmsg": "Reading from capped collections with readConcern snapshot is not supported"}
    assert meaning_of(OperationFailure("", 246, capped)) is Meaning.FATAL
    assert meaning_of(OperationFailure("", 246, {"errmsg": "Unable to read"})) is Meaning.MOMENT_LOST
    assert "capped" in str(explain(OperationFailure("", 246, capped), READ, "app.tasks"))


def test_the_delay_grows_to_its_limit_and_stays_there() -> None:
    """Regression: after some hours without a database the delay overflowed a float, which ended the relay."""
    waits = [_wait(failures, 1.0) for failures in range(1, 20)]
    assert waits == sorted(waits)
    assert waits[0] == BACKOFF_MIN_S * 2
    assert _wait(100_000, 1.0) == BACKOFF_MAX_S
    assert _wait(100_000, 0.0) == BACKOFF_MAX_S / 2

"""What an error of the database means: one table, for the stream and for reads.

What is not in it passes, and the same place is tried again a little later: a network error, a cursor that
is gone (43), a primary that steps down (91, 189, 10107, 11600, 11602, 13435, 13436), a time limit (50), a
read that was killed (237), and whatever a later server invents.
"""

from __future__ import annotations

from enum import Enum

from pymongo.errors import OperationFailure, PyMongoError


class Meaning(Enum):
    """What to do about an error."""

    PASSES = "try the same place again"
    PLACE_LOST = "open the stream afresh, and heal the listeners"
    MOMENT_LOST = "read at a later moment; this one can never be read again"
    FATAL = "no retry mends the configuration: do not start; when running, retry slowly and be not ready"


MEANINGS: dict[int, Meaning] = {
    # ChangeStreamHistoryLost: the place is older than the oplog, or the cluster is another one.
    286: Meaning.PLACE_LOST,
    # ChangeStreamFatalError: the server itself says that no resume helps.
    280: Meaning.PLACE_LOST,
    # InvalidResumeToken: of another collection's life, or of another pipeline.
    260: Meaning.PLACE_LOST,
    # FailedToParse: that was no token.
    9: Meaning.PLACE_LOST,
    # BSONObjectTooLarge: a change of more than 16 MB (an `_id` of some MB is in it four times). Every
    # resume would end there; its task is healed like all others.
    10334: Meaning.PLACE_LOST,
    # SnapshotTooOld: past minSnapshotHistoryWindowInSeconds.
    239: Meaning.MOMENT_LOST,
    # SnapshotUnavailable: the collection was created or renamed since, or the server restarted after it.
    246: Meaning.MOMENT_LOST,
    # Unauthorized, UserNotFound, AuthenticationFailed, MechanismUnavailable: the user lacks a right, or is none.
    13: Meaning.FATAL,
    11: Meaning.FATAL,
    18: Meaning.FATAL,
    334: Meaning.FATAL,
    # CommandNotSupportedOnView, InvalidNamespace: a view or a time series, or a name no collection can have.
    166: Meaning.FATAL,
    73: Meaning.FATAL,
    # CommandNotFound, IllegalOperation, an unknown field: not a server that has what we need.
    59: Meaning.FATAL,
    20: Meaning.FATAL,
    40415: Meaning.FATAL,
    # A standalone server.
    40573: Meaning.FATAL,
}


def code_of(failure: Exception) -> int | None:
    """The server's code, where the server answered at all."""
    return failure.code if isinstance(failure, OperationFailure) else None


def meaning_of(failure: Exception) -> Meaning:
    """What to do about it. The server's label for a stream that cannot be resumed counts as its code."""
    if isinstance(failure, PyMongoError) and failure.has_error_label("NonResumableChangeStreamError"):
        return Meaning.PLACE_LOST
    code = code_of(failure)
    if isinstance(failure, OperationFailure) and code == 246 and is_capped(failure):
        return Meaning.FATAL
    return Meaning.PASSES if code is None else MEANINGS.get(code, Meaning.PASSES)


def is_capped(failure: OperationFailure) -> bool:
    """Was it a capped collection, which has no reads at a moment?"""
    # The same code is also for a collection that was created since, which passes; only the words differ.
    return "capped" in str((failure.details or {}).get("errmsg", ""))

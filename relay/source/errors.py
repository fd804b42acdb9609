"""Decide what to do about an error of the database: one table, for the change stream and for reads.

An error that is not in the table is temporary, and the relay tries the same position again after a pause: a network
error, a lost cursor (43), a primary that steps down (91, 189, 10107, 11600, 11602, 13435, 13436), a time limit (50),
a killed read (237), a secondary that knows no majority yet (134) or has not heard of the time of a read (72), and codes
that a later server may add.
"""

from __future__ import annotations

from enum import Enum

from pymongo.errors import OperationFailure, PyMongoError

from relay.errors import SourceError
from relay.metrics import DatabaseError

# InvalidOptions: the time of a read is later than the latest time that the server has heard of.
TIME_UNKNOWN = 72


class Meaning(Enum):
    """What the relay does about an error that the driver raised. The value of each member says this in words."""

    PASSES = "try the same position again"
    PLACE_LOST = "open a new stream, and resync the listeners"
    MOMENT_LOST = "read at a later time; this time can never be read again"
    FATAL = "the configuration is wrong: do not start; if running, retry slowly and report not ready"


MEANINGS: dict[int, Meaning] = {
    # ChangeStreamHistoryLost: the resume token is older than the oplog, or from another cluster.
    286: Meaning.PLACE_LOST,
    # ChangeStreamFatalError: the server says that the stream cannot be resumed.
    280: Meaning.PLACE_LOST,
    # InvalidResumeToken: the token is from a dropped collection, or from another pipeline.
    260: Meaning.PLACE_LOST,
    # FailedToParse: the token is not a resume token.
    9: Meaning.PLACE_LOST,
    # BSONObjectTooLarge: a change event of more than 16 MB (an `_id` of several MB occurs in it four times). A
    # resumed stream would fail at the same event, so the stream is opened again and all listeners are resynced.
    10334: Meaning.PLACE_LOST,
    # SnapshotTooOld: older than minSnapshotHistoryWindowInSeconds.
    239: Meaning.MOMENT_LOST,
    # SnapshotUnavailable: the collection was created or renamed after that time, or the server restarted.
    246: Meaning.MOMENT_LOST,
    # Unauthorized, UserNotFound, AuthenticationFailed, MechanismUnavailable: wrong credentials, or no privilege.
    13: Meaning.FATAL,
    11: Meaning.FATAL,
    18: Meaning.FATAL,
    334: Meaning.FATAL,
    # CommandNotSupportedOnView, InvalidNamespace: a view, a time series, or a name that no collection can have.
    166: Meaning.FATAL,
    73: Meaning.FATAL,
    # CommandNotFound, IllegalOperation, an unknown field: the server lacks a command that the relay needs.
    59: Meaning.FATAL,
    20: Meaning.FATAL,
    40415: Meaning.FATAL,
    # A standalone server.
    40573: Meaning.FATAL,
}


def code_of(failure: Exception) -> int | None:
    """Return the error code that the server sent; None if the server did not answer."""
    return failure.code if isinstance(failure, OperationFailure) else None


def meaning_of(failure: Exception) -> Meaning:
    """Return what the relay does about this error: the entry of its code in MEANINGS, or PASSES if there is none.

    The label NonResumableChangeStreamError has precedence over the code, and a read that was refused because the
    collection is capped is FATAL.
    """
    if isinstance(failure, PyMongoError) and failure.has_error_label("NonResumableChangeStreamError"):
        return Meaning.PLACE_LOST
    code = code_of(failure)
    if isinstance(failure, OperationFailure) and code == 246 and is_capped(failure):
        return Meaning.FATAL
    return Meaning.PASSES if code is None else MEANINGS.get(code, Meaning.PASSES)


TIME_LIMIT = 50  # MaxTimeMSExpired
_KINDS: dict[Meaning, DatabaseError] = {
    Meaning.PASSES: "passing",
    Meaning.PLACE_LOST: "position_lost",
    Meaning.MOMENT_LOST: "moment_lost",
    Meaning.FATAL: "refused",
}


def kind_of(failure: Exception) -> DatabaseError:
    """Return the kind of this failure, by which the metrics count it."""
    if isinstance(failure, SourceError):
        return "passing"  # a secondary that has not reached the position
    if not isinstance(failure, PyMongoError):
        return "unusable"
    code = code_of(failure)
    if code is None:
        return "no_answer"
    return "time_limit" if code == TIME_LIMIT else _KINDS[meaning_of(failure)]


def is_capped(failure: OperationFailure) -> bool:
    """Return whether the server refused a read because the collection is capped.

    A capped collection cannot be read at a time in the past.
    """
    # The server uses the same code if the collection was created after the time of the read, which is temporary. Only
    # the message distinguishes the two cases.
    return "capped" in str((failure.details or {}).get("errmsg", ""))

"""Explain to an operator why a database cannot be followed: the sentences of `serve`, `check` and `tail`.

To follow a database is to read its change stream. Rules of this file: no I/O. A Diagnosis is `lasting` only if an
answer of a server proves it, because silence may be temporary. Messages of servers and of the driver are never
repeated, only names from them, made printable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import OperationFailure

from relay.errors import StartupError, Unavailable
from relay.source.errors import Meaning, is_capped, meaning_of

WIRE_VERSION_6_0 = 17

Hello = Mapping[str, Any]  # a server's reply to the command `hello`


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why the database cannot be followed or read, and what the operator can do.

    `reason` and `remedy` are clauses that form one sentence, without its capital letter and its full stop. `about` is
    the line of the output of `relay check` to which the sentence belongs. `lasting` is true if waiting cannot help:
    then `relay serve` does not start.
    """

    about: str
    reason: str
    remedy: str
    lasting: bool = True

    def __str__(self) -> str:
        # A sentence begins with a capital letter, unless its first word is a name such as `app.tasks`.
        is_word = self.reason.split(" ")[0].isalpha()
        first = self.reason[:1].upper() if is_word else self.reason[:1]
        return f"{first}{self.reason[1:]}: {self.remedy}."

    @property
    def error(self) -> StartupError | Unavailable:
        """The exception to raise for this Diagnosis: StartupError if it is lasting, otherwise Unavailable."""
        return StartupError(str(self)) if self.lasting else Unavailable(str(self))


STANDALONE = Diagnosis(
    "replica set",
    "this MongoDB is a standalone server, and only replica sets have change streams",
    "start it with --replSet rs0 and run rs.initiate() once (a set of one member is enough)",
)
LEAST_RIGHTS = (
    "give it a role with the actions find and changeStream on this one collection, "
    "as relay check --role prints"
)
FOLLOW, READ = "change stream", "reads"  # values of `Diagnosis.about` for the two ways of using a collection
_DOING = {FOLLOW: "open a change stream", READ: "read a moment of the past"}
AUTHENTICATION_CODES = frozenset({11, 18, 8000})  # UserNotFound, AuthenticationFailed, and the code of Atlas


TOO_OLD = Diagnosis("version", "this MongoDB is too old", "upgrade it to 6.0 or newer")
NOBODY = Diagnosis(
    "rights",
    "MongoDB asks who connects, and RELAY_MONGO_URL names no user",
    "put a user and a password into it: mongodb://user:password@host/",
)


def printable(text: str, limit: int | None = 60) -> str:
    """Make a foreign string safe for a sentence: at most `limit` characters, with ? for each control character.

    The length is not limited if `limit` is None.
    """
    return "".join(char if char.isprintable() else "?" for char in text[:limit])


def explain(failure: OperationFailure, about: str, name: str) -> Diagnosis:
    """Explain why the server refused to follow or to read the collection with this name.

    `about` is FOLLOW or READ. Only the error code of `failure` is used (and whether the collection is capped), not the
    server's message, because a message may quote data.
    """
    name = printable(name)
    match failure.code:
        case 40573:
            return STANDALONE
        case 13:
            return Diagnosis(about, f"this user may not {_DOING[about]} of {name}", LEAST_RIGHTS)
        case 11 | 18:
            return Diagnosis(
                "reachable",
                "MongoDB does not accept the user or the password of RELAY_MONGO_URL",
                "correct them, or add authSource=<the database the user was created in> to the URL",
            )
        case 334:
            return Diagnosis(
                "reachable",
                "MongoDB does not offer the authMechanism of RELAY_MONGO_URL",
                "name another one, or leave it out",
            )
        case 166:
            return Diagnosis(
                "collection",
                f"{name} is a view or a time series, and only collections have change streams",
                "name the collection beneath it in RELAY_TASKS_COLLECTION",
            )
        case 73:
            return Diagnosis(
                "collection",
                f"{name} is not the name of a collection that can be followed",
                "correct RELAY_MONGO_DATABASE or RELAY_TASKS_COLLECTION",
            )
        case 246 if is_capped(failure):
            return Diagnosis(
                "reads",
                f"{name} is a capped collection, which cannot be read as it was at a given moment",
                "keep the tasks in a collection without a cap",
            )
        case 59 | 40415 | 20:
            return Diagnosis(
                about,
                f"this MongoDB does not support change streams as the relay needs them (code {failure.code})",
                "it needs a MongoDB 6.0 or newer",
            )
        case code:
            return Diagnosis(
                about,
                f"the relay cannot {_DOING[about]} of {name} (code {code})",
                "it needs a MongoDB 6.0 or newer, a majority of whose members answer",
                lasting=meaning_of(failure) is Meaning.FATAL,
            )


def of_kind(kind: str | None, name: str) -> Diagnosis | None:
    """Explain why the relay cannot follow a collection of this kind; None if it can, or if the kind is unknown.

    `kind` is what listCollections gives as `type`, such as "view" or "timeseries"; `name` is the name of the
    collection.
    """
    if kind in (None, "collection"):
        return None
    remedy = "name the collection beneath it in RELAY_TASKS_COLLECTION"
    if kind == "timeseries":
        kind, remedy = "time series", "name a collection of another kind in RELAY_TASKS_COLLECTION"
    return Diagnosis(
        "collection", f"{name} is a {printable(str(kind))}, and only collections have change streams", remedy
    )


def is_replicated(hello: Hello) -> bool:
    """Return whether this `hello` reply is of a replica set member, or of the router of a sharded cluster."""
    return "setName" in hello or hello.get("msg") == "isdbgrid"


def of_member(hello: Hello) -> Diagnosis | None:
    """Explain why the relay cannot use the server with this `hello` reply; None if it can."""
    if hello.get("isreplicaset"):
        return Diagnosis(
            "replica set",
            "this MongoDB was started as a member of a replica set that was never set up",
            "run rs.initiate() once",
            lasting=False,
        )
    if not is_replicated(hello):
        return STANDALONE
    if hello.get("arbiterOnly"):
        return _wrong_member("an arbiter, which holds no data")
    if hello.get("hidden"):
        return _wrong_member("a hidden member, which serves no clients")
    if hello.get("isWritablePrimary") is False and hello.get("secondary") is False and "setName" in hello:
        return Diagnosis(
            "replica set",
            "the server of RELAY_MONGO_URL is starting or recovering",
            "wait for it, or name all members of the set and replicaSet=<its name>",
            lasting=False,
        )
    return _of_version(hello.get("maxWireVersion"))


def _wrong_member(kind: str) -> Diagnosis:
    return Diagnosis(
        "replica set",
        f"RELAY_MONGO_URL leads to {kind}",
        "name the other members of the set, with replicaSet=<its name> and without directConnection=true",
    )


def _of_version(wire_version: object) -> Diagnosis | None:
    if isinstance(wire_version, int) and wire_version < WIRE_VERSION_6_0:
        return TOO_OLD
    return None

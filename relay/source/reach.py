"""Find out whether a database can be followed, and if not, why; for `serve`, `check` and `tail --direct`. Does I/O.

To follow a database is to read its change stream. A Diagnosis explains to an operator why that is not possible, and
what to do. The driver reports only that it found no server it can use; so each server of the URL is asked first, and
the answers show why (`relay/source/interview.py`). `hello` is the command to which a server replies what it is.

Rule of this file: every question to a server has a timeout.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bson.errors import BSONError
from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError, ServerSelectionTimeoutError

from relay.config import Settings
from relay.errors import SourceError
from relay.source.client import Address, address_of
from relay.source.diagnosis import (
    AUTHENTICATION_CODES,
    NOBODY,
    READ,
    STANDALONE,
    TOO_OLD,
    Diagnosis,
    Hello,
    explain,
    is_replicated,
    of_kind,
    of_member,
    printable,
)
from relay.source.errors import Meaning, meaning_of
from relay.source.interview import SILENT, Answer, interview, listed, reason_of, seeds_of, shown
from relay.source.reader import Reader

FIRST_MS = 1_500  # how long the driver may look for a primary, at the first attempt
AGAIN_MS = 2_500  # the same at the second attempt of a command that does not go on trying
ANSWER_MS = 5_000  # maxTimeMS of a command

# Mechanisms that authenticate without a password.
_WITHOUT_PASSWORD = ("MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC", "GSSAPI")


async def reach(
    settings: Settings, client: AsyncMongoClient[Any], *, wait_ms: int = FIRST_MS, again_ms: int = 0
) -> Hello | Diagnosis:
    """Return the `hello` reply of the server that `client` finds, or a Diagnosis of why there is none that it can use.

    The client looks for a server for at most `wait_ms`, and continues to look between two calls of this function. If no
    answer came in time and `again_ms` is given, it looks once more for at most that time. Raises StartupError if
    `RELAY_MONGO_URL` cannot be used.
    """
    found = await _look(settings, client, wait_ms)
    if again_ms and isinstance(found, Diagnosis) and _is_silence(found):
        found = await _look(settings, client, again_ms)
    return found


async def _look(settings: Settings, client: AsyncMongoClient[Any], wait_ms: int) -> Hello | Diagnosis:
    address = address_of(settings)
    seen = await interview(address, seeds_of(address))
    early = _proved(address, client, seen)
    if early is None and seen:
        # A server that is silent may only need more time. Every other error is final: the client would get it, too.
        reasons = {host: answer for host, answer in seen.items() if isinstance(answer, str)}
        if len(reasons) == len(seen) and SILENT not in reasons.values():
            early = _nothing_answers(reasons)
    if early is not None:
        return early
    try:
        async with asyncio.timeout(wait_ms / 1000):
            asked = {"hello": 1, "maxTimeMS": ANSWER_MS}
            hello: Hello = await client.admin.command(asked, read_preference=client.read_preference)
    except (PyMongoError, BSONError, TimeoutError, ValueError) as failure:
        return await _why(address, client, failure, seen)
    return of_member(hello) or hello


async def of_collection(
    settings: Settings, client: AsyncMongoClient[Any], reader: Reader
) -> Diagnosis | None:
    """Explain why the relay cannot follow or read the collection; None if it can, or if there is no collection yet.

    The function makes a real read, because only a read shows missing privileges, a capped collection, or a storage
    engine without reads of the past. Raises Unavailable or PyMongoError if the database does not answer.
    """
    database, collection = settings.relay_mongo_database, settings.relay_tasks_collection
    name = printable(f"{database}.{collection}")
    kinds = await kinds_of(client, database, {"name": collection})
    return of_kind((kinds or {}).get(collection), name) or await of_reads(client, reader, name)


async def of_reads(client: AsyncMongoClient[Any], reader: Reader, name: str) -> Diagnosis | None:
    """Explain why the relay cannot read the collection at a cluster time; None if it can.

    `name` is the name of the collection in the explanation. Raises Unavailable if the database does not answer, or
    answers with an error that is temporary.
    """
    for attempt in (1, 2):
        try:
            await reader.read_at(await reader.now(), {}, projection={"_id": 1}, limit=1)
        except SourceError as failure:
            cause = failure.__cause__
            if not isinstance(cause, OperationFailure) or meaning_of(cause) is Meaning.PASSES:
                raise
            if meaning_of(cause) is Meaning.MOMENT_LOST and attempt == 1:
                continue  # the collection was created in between: ask again at a later time
            return await of_refusal(client, cause, READ, name)
        return None
    return None


async def kinds_of(
    client: AsyncMongoClient[Any], database: str, filter: Mapping[str, Any]
) -> dict[str, str] | None:
    """Return the kind of each collection that matches `filter`, by name; None if the user may not list collections.

    A kind is what listCollections gives as `type`, such as "collection", "view" or "timeseries". Raises PyMongoError if
    the database refuses for another reason or does not answer.
    """
    command = {
        "listCollections": 1,
        "filter": filter,
        "nameOnly": True,
        "authorizedCollections": True,
        "maxTimeMS": ANSWER_MS,
    }
    try:
        reply = await client[database].command(command, read_preference=client.read_preference)
    except OperationFailure as failure:
        if failure.code != 13:
            raise
        return None  # the user may lack every privilege; the read that follows reports that
    return {str(entry["name"]): str(entry.get("type")) for entry in reply["cursor"]["firstBatch"]}


async def of_refusal(
    client: AsyncMongoClient[Any], failure: OperationFailure, about: str, name: str
) -> Diagnosis:
    """Explain why the server refused to follow or to read the collection with this name.

    `failure` is the server's error; `about` is FOLLOW or READ. Raises PyMongoError if the server does not answer when
    it is asked who is authenticated.
    """
    if failure.code == 13:
        status = await client.admin.command("connectionStatus", read_preference=client.read_preference)
        if not status["authInfo"]["authenticatedUsers"]:
            return NOBODY
    return explain(failure, about, name)


def _proved(address: Address, client: AsyncMongoClient[Any], seen: Mapping[str, Answer]) -> Diagnosis | None:
    """Return a Diagnosis that the servers' answers prove without looking for a primary; None if they prove nothing.

    `seen` maps each server that was asked to its answer: its `hello` reply, a Diagnosis of its TLS, or the reason why
    it did not answer.
    """
    hellos = [answer for answer in seen.values() if isinstance(answer, Mapping)]
    lasting = [answer for answer in seen.values() if isinstance(answer, Diagnosis)]
    if not hellos:
        return lasting[0] if lasting and len(lasting) == len(seen) else None
    wrong = _of_set_name(client, hellos, lasting=True)
    if wrong is not None and len(hellos) == len(seen):
        return wrong
    found = [of_member(hello) for hello in hellos]
    direct = address.options.get("directConnection", "").lower() == "true"
    alone = len(seen) == 1 and (direct or not is_replicated(hellos[0]))
    if all(found) and (
        alone or all(one is STANDALONE for one in found) or not any(map(is_replicated, hellos))
    ):
        return found[0]
    return None


def _of_set_name(
    client: AsyncMongoClient[Any], hellos: Iterable[Hello], *, lasting: bool
) -> Diagnosis | None:
    """Return a Diagnosis if the URL names a replica set to which none of these servers belongs, otherwise None.

    `hellos` are the `hello` replies of the servers. `lasting` says whether waiting cannot help. Returns None also if no
    reply names a set.
    """
    wanted = client.options.replica_set_name
    names = {str(hello["setName"]) for hello in hellos if "setName" in hello}
    if wanted is None or not names or wanted in names:
        return None
    name = printable(min(names))
    return Diagnosis(
        "reachable",
        f"the replica set is called {name}, and not as RELAY_MONGO_URL says",
        f"write replicaSet={name} in it",
        lasting,
    )


async def _why(
    address: Address,
    client: AsyncMongoClient[Any],
    failure: Exception,
    seen: Mapping[str, Answer],
) -> Diagnosis:
    """Explain why the driver found no server that it can use.

    `failure` is what the driver raised. `seen` maps each server that was asked to its answer: its `hello` reply, a
    Diagnosis of its TLS, or the reason why it did not answer. With mongodb+srv, `seen` is empty: the servers that the
    DNS named are asked here.
    """
    servers = client.topology_description.server_descriptions()
    for one in (failure, *(server.error for server in servers.values())):
        if isinstance(one, OperationFailure) and one.code in AUTHENTICATION_CODES | {334}:
            if one.code != 334 and address.mechanism in _WITHOUT_PASSWORD:
                return Diagnosis(
                    "reachable",
                    f"MongoDB does not accept who connects with authMechanism={address.mechanism}",
                    "create that user in its database $external, or correct what proves who it is",
                )
            return explain(OperationFailure("", 18 if one.code == 8000 else one.code), "reachable", "")
    if isinstance(
        failure, ValueError
    ):  # raised by the driver if SASLprep refuses the user name or the password
        return Diagnosis(
            "reachable",
            "the user or the password of RELAY_MONGO_URL has a character that MongoDB takes in none",
            "correct them",
        )
    if isinstance(failure, ConfigurationError):
        return _of_configuration(address, str(failure))
    if not isinstance(failure, ServerSelectionTimeoutError | TimeoutError):
        code = failure.code if isinstance(failure, OperationFailure) else None
        said = f"code {code}" if code is not None else type(failure).__name__
        return Diagnosis(
            "reachable", f"MongoDB does not answer ({said})", "try again when it is calm", lasting=False
        )
    if not seen:  # with mongodb+srv, the servers are known only after the driver asked the DNS
        seen = await interview(address, list(servers))
        proved = _proved(address, client, seen)
        if proved is not None:
            return proved
    hellos = {host: answer for host, answer in seen.items() if isinstance(answer, Mapping)}
    for answer in seen.values():
        if isinstance(answer, Diagnosis) and not hellos:
            return replace(answer, lasting=False)  # the other servers have not answered yet
    wrong = _of_set_name(client, hellos.values(), lasting=False)
    if wrong is not None:
        return wrong
    errors = {
        shown(server): reason_of(str(one.error)) for server, one in servers.items() if one.error is not None
    }
    errors |= {host: answer for host, answer in seen.items() if isinstance(answer, str)}
    if not hellos and errors:
        return _nothing_answers(errors)
    if hellos and set(errors) - set(seen):
        return Diagnosis(
            "reachable",
            f"the URL's server answers, but not the members it names: {listed(errors)}",
            "make those names known where the relay runs, or add directConnection=true to a URL of one server",
            lasting=False,
        )
    mode = address.options.get("readPreference", "primary")
    # The driver asks a member by the name that it gives itself, which the URL need not have.
    primaries = [hello.get("me", host) for host, hello in hellos.items() if hello.get("isWritablePrimary")]
    if primaries and mode != "secondary" and not address.tags:
        return Diagnosis(
            "reachable",
            f"the primary {printable(str(primaries[0]))} {SILENT}",
            "try again when it is calm, or look whether that name is known where the relay runs",
            lasting=False,
        )
    what = "takes part as its primary" if mode == "primary" else f"fits readPreference={mode}"
    also = " and compare its members with the tags in the URL" if address.tags else ""
    return Diagnosis(
        "reachable",
        f"no member of the replica set {what}" + (f": {listed(errors)}" if errors else ""),
        f"see rs.status() on one of its members{also}",
        lasting=False,
    )


def _nothing_answers(reasons: Mapping[str, str]) -> Diagnosis:
    return Diagnosis(
        "reachable",
        f"nothing answers: {listed(reasons)}",
        "start it, or correct RELAY_MONGO_URL",
        lasting=False,
    )


def _of_configuration(address: Address, said: str) -> Diagnosis:
    """Explain a ConfigurationError that the driver raises only when it connects. `said` is the error's message."""
    if "wire version" in said:
        return TOO_OLD
    extra = {"MONGODB-AWS": "aws", "GSSAPI": "gssapi"}.get(address.mechanism)
    if extra is not None and "install" in said:
        return Diagnosis(
            "reachable",
            f"authMechanism={address.mechanism} needs a package that is not installed here",
            f"pip install 'pymongo[{extra}]' where the relay runs",
        )
    if "DNS" in said or "resolution" in said.lower():
        return Diagnosis(
            "reachable",
            "the name in mongodb+srv:// is not known to the DNS, or has no servers there",
            "correct the name, or the DNS that should know it",
            lasting=False,
        )
    return Diagnosis(
        "reachable",
        "the driver cannot use this server as RELAY_MONGO_URL asks for it",
        "compare its options with what the server offers",
        lasting=False,
    )


def _is_silence(diagnosis: Diagnosis) -> bool:
    """Return whether this Diagnosis says only that no answer came before a timeout.

    Over a slow network, a longer wait may help then.
    """
    return not diagnosis.lasting and SILENT in diagnosis.reason

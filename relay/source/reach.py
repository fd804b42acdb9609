"""Asks a database whether it can be followed, and why it cannot; for `serve`, `check` and `tail --direct`. Does I/O.

Rule of this file: every question has an end in time.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bson.errors import BSONError
from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError, ServerSelectionTimeoutError
from pymongo.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)
from pymongo.uri_parser import parse_uri

from relay.config import Settings
from relay.errors import SourceError, StartupError
from relay.source.client import Address, address_of, client_of_one
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
from relay.source.reader import Reader

FIRST_MS = 1_500  # for a primary to be found, where the answer shall come soon
ASK_MS = 700  # for one server to say what it is
SERVERS_ASKED = 8  # of a long URL
ANSWER_MS = 5_000  # the database gives up on one question

# One class for whatever is no answer of MongoDB, among it a connection that is closed: which of the ways it fails in
# is met first depends on timing.
_OTHER = "does not answer as MongoDB does"
_REFUSED, _UNKNOWN, _UNREACHABLE, _SILENT, _CERTIFICATE, _TLS = (
    "refuses the connection",
    "is a name nobody knows",
    "cannot be reached from here",
    "does not answer in time",
    "has a certificate that cannot be verified",
    "does not agree on TLS",
)
_NO_SOCKET, _NO_RIGHT, _NO_FILES = (
    "is a socket that is not there",
    "may not be used by the user that the relay runs as",
    "cannot be asked, because too many files are open here",
)
# Signs in what the driver, OpenSSL and the resolver say, the more telling ones first. Where asyncio connects, its
# words are the same for every failure, and only the number tells.
_NUMBERS = {
    _REFUSED: (errno.ECONNREFUSED,),
    _UNREACHABLE: (errno.EHOSTUNREACH, errno.ENETUNREACH),
    _NO_SOCKET: (errno.ENOENT,),
    _NO_RIGHT: (errno.EACCES, errno.EPERM),
    _NO_FILES: (errno.EMFILE, errno.ENFILE),
    _SILENT: (errno.ETIMEDOUT,),
}
_REASONS = (
    *(("CERTIFICATE_VERIFY_FAILED", _CERTIFICATE), ("certificate verify failed", _CERTIFICATE)),
    *(("SSL", _TLS), ("TLS", _TLS)),
    *((f"[Errno {number}]", reason) for reason, numbers in _NUMBERS.items() for number in numbers),
    *(("refused", _REFUSED), ("path too long", _NO_SOCKET)),
    *(("not known", _UNKNOWN), ("nodename", _UNKNOWN), ("name resolution", _UNKNOWN)),
    *(("No address", _UNKNOWN), ("' codec", _UNKNOWN)),
    *(("timed out", _SILENT), ("found yet", _SILENT)),
)
# Who connects with one of these has another proof than a password.
_WITHOUT_PASSWORD = ("MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC", "GSSAPI")


async def reach(
    settings: Settings, client: AsyncMongoClient[Any], *, wait_ms: int = FIRST_MS
) -> Hello | Diagnosis:
    """What the server that `client` finds within this time says of itself, or why it finds none.

    The client goes on looking between two calls. Raises StartupError.
    """
    address = address_of(settings)
    seeds = _seeds(address)
    seen = await _interview(address, seeds)
    early = _proved(address, client, seen)
    if early is None and seen:
        # Only silence may be a server that needs longer; all else the client would meet as well, and say later.
        reasons = {host: answer for host, answer in seen.items() if isinstance(answer, str)}
        if len(reasons) == len(seen) and _SILENT not in reasons.values():
            early = _nothing_answers(reasons)
    if early is not None:
        return early
    try:
        async with asyncio.timeout(wait_ms / 1000):
            hello: Hello = await client.admin.command({"hello": 1, "maxTimeMS": ANSWER_MS})
    except (PyMongoError, BSONError, TimeoutError, ValueError) as failure:
        return await _why(address, client, failure, seen)
    return of_member(hello) or hello


async def of_collection(
    settings: Settings, client: AsyncMongoClient[Any], reader: Reader
) -> Diagnosis | None:
    """What keeps the relay from following and reading the collection; None: nothing, or it is not there yet.

    Asked by doing it, since rights, caps and engines all tell on it. Raises Unavailable where no answer comes.
    """
    database, collection = settings.relay_mongo_database, settings.relay_tasks_collection
    name = printable(f"{database}.{collection}")
    kinds = await kinds_of(client, database, {"name": collection})
    return of_kind((kinds or {}).get(collection), name) or await of_reads(client, reader, name)


async def of_reads(client: AsyncMongoClient[Any], reader: Reader, name: str) -> Diagnosis | None:
    """What keeps the relay from reading the collection as it was at a moment. Raises Unavailable."""
    for attempt in (1, 2):
        try:
            await reader.read_at(await reader.now(), {}, projection={"_id": 1}, limit=1)
        except SourceError as failure:
            cause = failure.__cause__
            if not isinstance(cause, OperationFailure) or meaning_of(cause) is Meaning.PASSES:
                raise
            if meaning_of(cause) is Meaning.MOMENT_LOST and attempt == 1:
                continue  # it was created while we asked
            return await of_refusal(client, cause, READ, name)
        return None
    return None


async def kinds_of(
    client: AsyncMongoClient[Any], database: str, filter: Mapping[str, Any]
) -> dict[str, str] | None:
    """The collections that match, with their kinds; None where this user may not ask."""
    command = {
        "listCollections": 1,
        "filter": filter,
        "nameOnly": True,
        "authorizedCollections": True,
        "maxTimeMS": ANSWER_MS,
    }
    try:
        reply = await client[database].command(command)
    except OperationFailure as failure:
        if failure.code != 13:
            raise
        return None  # who may read nothing at all may not ask either; the reads will say it
    return {str(entry["name"]): str(entry.get("type")) for entry in reply["cursor"]["firstBatch"]}


async def of_refusal(
    client: AsyncMongoClient[Any], failure: OperationFailure, about: str, name: str
) -> Diagnosis:
    """What to say of a refusal to follow or to read the collection of this name."""
    if failure.code == 13:
        status = await client.admin.command("connectionStatus")
        if not status["authInfo"]["authenticatedUsers"]:
            return NOBODY
    return explain(failure, about, name)


def _proved(
    address: Address, client: AsyncMongoClient[Any], seen: Mapping[str, Hello | str | Diagnosis]
) -> Diagnosis | None:
    """What the servers' own words prove by themselves, before any primary is looked for."""
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
    seen: Mapping[str, Hello | str | Diagnosis],
) -> Diagnosis:
    """Why no server could be used."""
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
    if isinstance(failure, ValueError):  # so the driver says that a text cannot be prepared for the server
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
    if not seen:  # mongodb+srv: only now are its servers known
        seen = await _interview(address, list(servers))
        proved = _proved(address, client, seen)
        if proved is not None:
            return proved
    hellos = {host: answer for host, answer in seen.items() if isinstance(answer, Mapping)}
    for answer in seen.values():
        if isinstance(answer, Diagnosis) and not hellos:
            return replace(answer, lasting=False)  # the others said nothing yet
    wrong = _of_set_name(client, hellos.values(), lasting=False)
    if wrong is not None:
        return wrong
    errors = {
        _shown(server): _reason(str(one.error)) for server, one in servers.items() if one.error is not None
    }
    errors |= {host: answer for host, answer in seen.items() if isinstance(answer, str)}
    if not hellos and errors:
        return _nothing_answers(errors)
    if hellos and set(errors) - set(seen):
        return Diagnosis(
            "reachable",
            f"the URL's server answers, but not the members it names: {_listed(errors)}",
            "make those names known where the relay runs, or add directConnection=true to a URL of one server",
            lasting=False,
        )
    return Diagnosis(
        "reachable",
        "no member of the replica set takes part as its primary" + (f": {_listed(errors)}" if errors else ""),
        "see rs.status() on one of its members",
        lasting=False,
    )


def _nothing_answers(reasons: Mapping[str, str]) -> Diagnosis:
    return Diagnosis(
        "reachable",
        f"nothing answers: {_listed(reasons)}",
        "start it, or correct RELAY_MONGO_URL",
        lasting=False,
    )


def _of_configuration(address: Address, said: str) -> Diagnosis:
    """What the driver calls a wrong configuration, and finds only when it connects."""
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


# What each server of the URL says by itself, before it asks who connects.


def _seeds(address: Address) -> list[tuple[str, int | None]]:
    if address.scheme != "mongodb":
        return []  # the DNS tells them, to the driver
    return list(parse_uri(f"mongodb://{address.place.rpartition('@')[2]}", warn=False)["nodelist"])


async def _interview(
    address: Address, servers: Sequence[tuple[str, int | None]]
) -> dict[str, Hello | str | Diagnosis]:
    asked = servers[:SERVERS_ASKED]
    answers = await asyncio.gather(*(_answer(address, *server) for server in asked))
    return dict(zip(map(_shown, asked), answers, strict=True))


async def _answer(address: Address, host: str, port: int | None) -> Hello | str | Diagnosis:
    """What it says of itself; else what is wrong with TLS, where that is sure; else why it says nothing."""
    said = await _hello(address, host, port)
    if isinstance(said, Mapping):
        return said
    reason, where = _reason(said), _shown((host, port))
    if reason == _CERTIFICATE:
        why = "it is for another name" if "mismatch" in said or "not valid for" in said else ""
        why = why or ("it has expired" if "expired" in said else "nobody the relay trusts has signed it")
        return Diagnosis(
            "reachable",
            f"the certificate of {where} cannot be verified: {why}",
            "name the file of the authority that signed it with tlsCAFile=, or correct the name or the certificate",
        )
    if address.uses_tls and reason == _OTHER and "Connect call failed" in said:
        reason = _TLS  # reset at once: mostly that is met a moment later, by the handshake
    if address.uses_tls and reason == _OTHER and ("closed" in said or "reset by peer" in said):
        return "closes the connection after TLS, as a server does that wants another client certificate"
    if reason in ((_TLS,) if address.uses_tls else (_OTHER,)):
        other = await _hello(address, host, port, tls=not address.uses_tls)
        if isinstance(other, Mapping):
            what, remedy = "wants TLS, and RELAY_MONGO_URL does not ask for it", "add tls=true to it"
            if address.uses_tls:
                what = "answers without TLS and not with it, and RELAY_MONGO_URL asks for it"
                remedy = "take tls=true out of it, or set TLS up on the server"
            return Diagnosis("reachable", f"{where} {what}", remedy)
    return reason


async def _hello(address: Address, host: str, port: int | None, *, tls: bool | None = None) -> Hello | str:
    """Its answer, or the driver's words for why there is none."""
    first = _FirstAttempt()
    waits = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
    options = dict.fromkeys(waits, ASK_MS) | {"event_listeners": [first]}
    try:
        async with client_of_one(address, host, port, tls=tls, **options) as client:
            await client.aconnect()
            async with asyncio.timeout(ASK_MS / 1000):
                failure = await first.failure
            if failure is not None:
                return str(failure)
            reply: Hello = await client.admin.command("hello")
            return reply
    except TimeoutError:
        return "timed out"
    except (PyMongoError, BSONError, StartupError) as failure:
        return str(failure)


class _FirstAttempt(ServerHeartbeatListener):
    """Notes how the first attempt to reach a server went; `failure` is None where it went well.

    The driver goes on trying until its time is over, and then tells the last of several failures, which differ by
    timing.
    """

    def __init__(self) -> None:
        self.failure: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        pass

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        self._note(None)

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        self._note(event.reply)

    def _note(self, failure: object) -> None:
        if not self.failure.done():
            self.failure.set_result(failure)


def _reason(said: str) -> str:
    """Why a server did not answer, in a few words of ours: the driver's own may repeat what was asked."""
    return next((reason for sign, reason in _REASONS if sign in said), _OTHER)


def _shown(server: tuple[str, int | None]) -> str:
    host, port = server
    return printable(host if port is None else f"{host}:{port}")


def _listed(reasons: Mapping[str, str]) -> str:
    names: Iterable[str] = [f"{host} {reason}" for host, reason in sorted(reasons.items())]
    shown = [*names][:SERVERS_ASKED]
    return ", ".join(shown) + (f" and {len(reasons) - len(shown)} more" if len(reasons) > len(shown) else "")


def is_silence(diagnosis: Diagnosis) -> bool:
    """Is it only that no answer came in time? A longer wait may bring one, over a slow network."""
    return not diagnosis.lasting and _SILENT in diagnosis.reason

"""Ask each server of the URL what it is, without credentials, and say why a server does not answer. Does I/O.

`hello` is the command to which a server replies what it is, also without authentication. A Diagnosis explains to an
operator why the relay cannot use a server, and what to do.

Rules of this file:
- Every question to a server has a timeout.
- The driver's error messages are never shown: they may quote the URL, which holds the password. A message only selects
  one of the reasons that are written here.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterable, Mapping, Sequence

from bson.errors import BSONError
from pymongo.errors import PyMongoError
from pymongo.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)
from pymongo.uri_parser import parse_uri

from relay.errors import StartupError
from relay.source.client import Address, client_of_one
from relay.source.diagnosis import Diagnosis, Hello, printable

ASK_MS = 700  # how long one server may take to answer `hello`
SERVERS_ASKED = 8  # the largest number of servers of the URL that are asked

# What a server answers: its `hello` reply; a Diagnosis if its TLS does not fit the URL; or, as words that follow the
# server's name in a sentence, the reason why there is no reply.
Answer = Hello | str | Diagnosis

# One sentence for every reply that is not from MongoDB, and for closed connections: which of the possible errors comes
# first depends on timing.
_OTHER = "does not answer as MongoDB does"
_REFUSED, _UNKNOWN, _UNREACHABLE, SILENT, _CERTIFICATE, _TLS = (
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
# Substrings of the error messages of the driver, OpenSSL and the resolver, each with the reason that it shows. The most
# specific come first. The messages of asyncio differ only in the error number.
_NUMBERS = {
    _REFUSED: (errno.ECONNREFUSED,),
    _UNREACHABLE: (errno.EHOSTUNREACH, errno.ENETUNREACH),
    _NO_SOCKET: (errno.ENOENT,),
    _NO_RIGHT: (errno.EACCES, errno.EPERM),
    _NO_FILES: (errno.EMFILE, errno.ENFILE),
    SILENT: (errno.ETIMEDOUT,),
}
_REASONS = (
    *(("CERTIFICATE_VERIFY_FAILED", _CERTIFICATE), ("certificate verify failed", _CERTIFICATE)),
    *(("SSL", _TLS), ("TLS", _TLS)),
    *((f"[Errno {number}]", reason) for reason, numbers in _NUMBERS.items() for number in numbers),
    *(("refused", _REFUSED), ("path too long", _NO_SOCKET)),
    *(("not known", _UNKNOWN), ("nodename", _UNKNOWN), ("name resolution", _UNKNOWN)),
    *(("No address", _UNKNOWN), ("' codec", _UNKNOWN)),
    *(("timed out", SILENT), ("found yet", SILENT)),
)


def seeds_of(address: Address) -> list[tuple[str, int | None]]:
    """Return host and port of each server in the URL; the port is None for a Unix socket. Empty for mongodb+srv."""
    if address.scheme != "mongodb":
        return []  # the driver gets them from the DNS
    return list(parse_uri(f"mongodb://{address.place.rpartition('@')[2]}", warn=False)["nodelist"])


async def interview(address: Address, servers: Sequence[tuple[str, int | None]]) -> dict[str, Answer]:
    """Ask the first SERVERS_ASKED of these servers for their `hello`, and return each answer by "host:port".

    An answer is the `hello` reply, a Diagnosis of the server's TLS, or the reason why the server did not answer.
    """
    asked = servers[:SERVERS_ASKED]
    answers = await asyncio.gather(*(_answer(address, *server) for server in asked))
    return dict(zip(map(shown, asked), answers, strict=True))


async def _answer(address: Address, host: str, port: int | None) -> Answer:
    """Ask one server for its `hello`.

    Returns the reply; or a Diagnosis if it is certain that the server's TLS or certificate does not fit the URL; or the
    reason why there is no reply, as words that follow the server's name in a sentence.
    """
    said = await _hello(address, host, port)
    if isinstance(said, Mapping):
        return said
    reason, where = reason_of(said), shown((host, port))
    if reason == _CERTIFICATE:
        why = "it is for another name" if "mismatch" in said or "not valid for" in said else ""
        why = why or ("it has expired" if "expired" in said else "nobody the relay trusts has signed it")
        return Diagnosis(
            "reachable",
            f"the certificate of {where} cannot be verified: {why}",
            "name the file of the authority that signed it with tlsCAFile=, or correct the name or the certificate",
        )
    if address.uses_tls and reason == _OTHER and "Connect call failed" in said:
        reason = _TLS  # the server reset the connection at once; usually it does so during the TLS handshake
    if address.uses_tls and reason == _OTHER and ("closed" in said or "reset by peer" in said):
        return "closes the connection after TLS, as a server does that wants another client certificate"
    if reason in ((_TLS,) if address.uses_tls else (_OTHER,)):
        other = await _hello(address, host, port, tls=not address.uses_tls)
        if not isinstance(other, Mapping):  # the only evidence: on a busy machine one attempt may fail
            other = await _hello(address, host, port, tls=not address.uses_tls)
        if isinstance(other, Mapping):
            what, remedy = "wants TLS, and RELAY_MONGO_URL does not ask for it", "add tls=true to it"
            if address.uses_tls:
                what = "answers without TLS and not with it, and RELAY_MONGO_URL asks for it"
                remedy = "take tls=true out of it, or set TLS up on the server"
            return Diagnosis("reachable", f"{where} {what}", remedy)
    return reason


async def _hello(address: Address, host: str, port: int | None, *, tls: bool | None = None) -> Hello | str:
    """Return the `hello` reply of one server, or the driver's error message if there is none.

    `tls` overrides the operator's TLS options: true is TLS that accepts every certificate, false is no TLS, and None
    keeps the options.
    """
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
    """Records how the driver's first attempt to reach a server ended.

    The result of the future `failure` is the error of that attempt, or None if the attempt succeeded. The driver
    retries until its timeout and then reports its last error. Which error is the last depends on timing, and the first
    is the most specific.
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


def reason_of(said: str) -> str:
    """Return why a server did not answer, in words of the relay that follow the server's name in a sentence.

    `said` is the driver's error message. The message itself is not shown, because it may quote the URL.
    """
    return next((reason for sign, reason in _REASONS if sign in said), _OTHER)


def shown(server: tuple[str, int | None]) -> str:
    host, port = server
    return printable(host if port is None else f"{host}:{port}")


def listed(reasons: Mapping[str, str]) -> str:
    """List servers, each with the reason why it did not answer, for a sentence; at most SERVERS_ASKED of them."""
    names: Iterable[str] = [f"{host} {reason}" for host, reason in sorted(reasons.items())]
    shown = [*names][:SERVERS_ASKED]
    return ", ".join(shown) + (f" and {len(reasons) - len(shown)} more" if len(reasons) > len(shown) else "")

"""The MongoDB client, as the relay needs it: which options of `RELAY_MONGO_URL` count, and which never do.

Rules of this file: an option counts only where it is named in KEPT, so that one which a later driver brings
changes nothing by itself; of the URL no more is shown than its hosts and the names of known options, because an
unescaped password may look like any other part of it.
"""

from __future__ import annotations

import logging
import re
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_plus

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import split_options

from relay.config import Settings
from relay.errors import StartupError
from relay.source.diagnosis import printable

log = logging.getLogger(__name__)

# Where the database is, who connects, and how the bytes travel: that is for the operator to say.
KEPT = (
    *("appName", "authMechanism", "authMechanismProperties", "authSource", "compressors", "directConnection"),
    *("localThresholdMS", "maxIdleTimeMS", "replicaSet", "serverMonitoringMode", "srvAllowedHostsSuffix"),
    *(
        "srvMaxHosts",
        "srvServiceName",
        "ssl",
        "tls",
        "tlsAllowInvalidCertificates",
        "tlsAllowInvalidHostnames",
    ),
    *("tlsCAFile", "tlsCertificateKeyFile", "tlsCertificateKeyFilePassword", "tlsCRLFile"),
    *("tlsDisableOCSPEndpointCheck", "tlsInsecure", "zlibCompressionLevel"),
)
# How long the relay waits, how much it asks at once, what it reads and how it decodes that: each is part of how
# the relay works. `timeoutMS`, for one, would replace the wait of every getMore of the change stream.
OWN = (
    *("connectTimeoutMS", "datetime_conversion", "enableOverloadRetargeting", "heartbeatFrequencyMS"),
    *("maxAdaptiveRetries", "maxConnecting", "maxPoolSize", "maxStalenessSeconds", "minPoolSize"),
    *("readConcernLevel", "readPreference", "readPreferenceTags", "retryReads", "server_api"),
    *("serverSelectionTimeoutMS", "socketTimeoutMS", "timeoutMS", "tz_aware", "unicode_decode_error_handler"),
    *("uuidRepresentation", "waitQueueTimeoutMS"),
)
# About writing, of which the relay does none, or without any effect in this driver: not worth a word, and in
# many URLs that are copied from elsewhere (`?retryWrites=true&w=majority`).
MEANINGLESS = ("connect", "driver", "fsync", "journal", "retryWrites", "w", "waitQueueMultiple", "wTimeoutMS")
# Known to other drivers, not to this one. An operator who wrote it counts on it.
FOREIGN = ("proxyHost", "proxyPort", "proxyUsername", "proxyPassword")
REFUSED = {
    "loadBalanced": "loadBalanced=true is for a load balancer in front of mongos, through which the relay cannot "
    "follow a change stream: name the servers themselves",
}

_NAMES = {name.lower(): name for name in (*KEPT, *OWN, *MEANINGLESS, *FOREIGN, *REFUSED)}
_FILES = ("tlsCAFile", "tlsCRLFile", "tlsCertificateKeyFile")
_LENIENT = ("tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames", "tlsDisableOCSPEndpointCheck")
_PARTS = re.compile(r"(?P<scheme>mongodb(?:\+srv)?)://(?P<place>[^?]*)(?:\?(?P<options>.*))?", re.DOTALL)
# A password that is not escaped may look like a host: then nothing of the URL is shown.
_HOSTS = re.compile(r"[a-z+]+://(?:[^@/?]*@)?([^@/?]+)(?:[/?][^@]*)?")
_ESCAPE = ": in a user and a password, : / ? # [ ] @ and % are written as %3A %2F %3F %23 %5B %5D %40 and %25"
NO_URL = "RELAY_MONGO_URL is not a MongoDB connection string"

SELECTION_MS = 5_000
# A server that only said that it is no primary is asked again at the next heartbeat; the driver's own ten seconds
# would be that long without news.
HEARTBEAT_MS = 1_000
SOCKET_MS = 30_000  # longer than any wait we ask for, so that a dead peer is noticed


@dataclass(frozen=True, slots=True)
class Address:
    """`RELAY_MONGO_URL`, taken apart. `options` are those that count, by the names of KEPT, still escaped."""

    scheme: str
    place: str  # user, password, hosts and database
    options: dict[str, str]
    ignored: tuple[str, ...]  # the known ones that do not
    unknown: int  # how many others

    @property
    def url(self) -> str:
        pairs = "&".join(f"{name}={value}" for name, value in self.options.items())
        place = self.place if "/" in self.place else f"{self.place}/"
        return f"{self.scheme}://{place}?{pairs}" if pairs else f"{self.scheme}://{self.place}"

    @property
    def uses_tls(self) -> bool:
        given = self.options.get("tls") or self.options.get("ssl")
        if given:
            return given.lower() == "true"
        # To the driver, one of these asks for TLS as well.
        asked = any(self.options.get(name) for name in (*_FILES, "tlsCertificateKeyFilePassword"))
        strict = any(self.options.get(name, "").lower() == "false" for name in _LENIENT)
        return asked or strict or self.scheme == "mongodb+srv"

    @property
    def mechanism(self) -> str:
        """The authMechanism in capitals; empty where none is named."""
        return self.options.get("authMechanism", "").upper()

    def of_one_server(self, host: str, port: int | None, *, tls: bool | None = None) -> str:
        """The URL of this one server, without user, password or replica set. `tls`: with and without any
        certificate, whatever the operator says; None: as they say."""
        where = (
            quote(host, safe="") if port is None else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        )
        kept: dict[str, str] = {}
        if tls is None and self.uses_tls:
            kept = {name: value for name, value in self.options.items() if name.startswith("tls")}
            kept["tls"] = "true"
        elif tls:
            kept = {"tls": "true", "tlsInsecure": "true"}
        # Streaming would open a second connection, which is still being made when the client is closed.
        kept |= {"directConnection": "true", "serverMonitoringMode": "poll"}
        pairs = "&".join(f"{name}={value}" for name, value in kept.items())
        return f"mongodb://{where}/?{pairs}"


def address_of(settings: Settings) -> Address:
    """The address of the database. Raises StartupError where it is missing, no address, or has no good options."""
    url = settings.relay_mongo_url.get_secret_value()
    if not url:
        raise StartupError(
            "RELAY_MONGO_URL is not set: where is MongoDB, such as mongodb://localhost:27017/?replicaSet=rs0."
        )
    parts = _PARTS.fullmatch(url)
    if parts is None:
        raise StartupError(f"{NO_URL}: it begins with mongodb:// or mongodb+srv://.")
    # The @ before the hosts comes before any / or ?, and in a value of an option it is escaped. One that comes later
    # ends a password with such a character, of which the driver would take the first part for a host.
    if "@" in parts["place"].partition("/")[2] or "@" in (parts["options"] or ""):
        raise StartupError(f"{NO_URL}{_ESCAPE}; so is an @ in an option.")
    options, ignored, unknown = {}, [], 0
    for name, value in _pairs(parts["options"] or ""):
        known = _NAMES.get(name.lower())
        if known in REFUSED:
            if value.lower() != "false":
                raise StartupError(f"RELAY_MONGO_URL: {REFUSED[known]}.")
        elif known in KEPT:
            options[known] = value
        elif known is None:
            unknown += 1
        elif known not in MEANINGLESS and known not in ignored:
            ignored.append(known)
    for name, value in options.items():
        _check(name, value)
    _check_files({name: unquote_plus(value) for name, value in options.items()})
    address = Address(parts["scheme"], parts["place"], options, tuple(ignored), unknown)
    if address.mechanism == "MONGODB-X509" and not (address.uses_tls and "tlsCertificateKeyFile" in options):
        raise StartupError(
            "RELAY_MONGO_URL: authMechanism=MONGODB-X509 needs tls=true, and the user's certificate in "
            "tlsCertificateKeyFile."
        )
    return address


def client_of(settings: Settings, **overrides: Any) -> AsyncMongoClient[Any]:
    """A client of the settings' database, not connected yet. Raises StartupError."""
    address = address_of(settings)
    options: dict[str, Any] = {
        "serverSelectionTimeoutMS": SELECTION_MS,
        "connectTimeoutMS": SELECTION_MS,
        "socketTimeoutMS": SOCKET_MS,
        "heartbeatFrequencyMS": HEARTBEAT_MS,
    }
    return _client(
        address.url, options | ({} if "appName" in address.options else {"appname": "relay"}) | overrides
    )


def client_of_one(
    address: Address, host: str, port: int | None, *, tls: bool | None = None, **options: Any
) -> AsyncMongoClient[Any]:
    """A client of one server, as nobody: for what a server says of itself before it asks who connects."""
    return _client(address.of_one_server(host, port, tls=tls), options | {"appname": "relay"})


def warning_of(settings: Settings) -> str | None:
    """What of `RELAY_MONGO_URL` does not count, in one sentence. Raises StartupError."""
    address = address_of(settings)
    own = [name for name in address.ignored if name not in FOREIGN]
    foreign = [name for name in address.ignored if name in FOREIGN]
    said = []
    if own:
        are, business = ("are", "are ignored") if len(own) > 1 else ("is", "is ignored")
        said.append(f"{', '.join(own)} {are} the relay's own business and {business}")
    if foreign:
        said.append(f"{', '.join(foreign)} cannot be used with this driver: it connects without a proxy")
    if address.unknown:
        one = address.unknown == 1
        said.append(
            f"{'an option' if one else f'{address.unknown} options'} of it {'is' if one else 'are'} not known and "
            f"{'is' if one else 'are'} ignored"
        )
    missing = _missing_compressors(address.options.get("compressors", ""))
    if missing:
        said.append(f"compressors names {', '.join(missing)}, which cannot be used here")
    return f"RELAY_MONGO_URL: {'; '.join(said)}." if said else None


def hosts_of(settings: Settings) -> str:
    """Where MongoDB is, without user or password, and without anything that a terminal obeys."""
    url = _HOSTS.fullmatch(settings.relay_mongo_url.get_secret_value())
    return printable(url[1], None) if url else "the hosts of RELAY_MONGO_URL"


def names_of(settings: Settings) -> tuple[str, str]:
    """The database and the collection. Raises StartupError where MongoDB can have none of that name."""
    database, collection = settings.relay_mongo_database, settings.relay_tasks_collection
    if re.search(r'[/\\. "$\0]', database) or len(database.encode(errors="replace")) > 63:
        raise StartupError(
            'RELAY_MONGO_DATABASE: a name of a database has at most 63 bytes and none of / \\ . " $ or blanks.'
        )
    if database in ("admin", "config", "local"):
        raise StartupError(
            "RELAY_MONGO_DATABASE: admin, config and local are MongoDB's own and cannot be followed."
        )
    if (
        re.search(r"^\.|^system\.|[$\0]", collection)
        or len(f"{database}.{collection}".encode(errors="replace")) > 255
    ):
        raise StartupError(
            "RELAY_TASKS_COLLECTION: a name of a collection has no $, begins with neither a dot nor system., and has, "
            "with that of its database, at most 255 bytes."
        )
    return database, collection


def _pairs(options: str) -> Iterator[tuple[str, str]]:
    if "&" in options and ";" in options:
        raise StartupError(f"{NO_URL}: its options are separated by & or by ;, not by both.")
    for pair in re.split("[&;]", options) if options else ():
        name, separator, value = pair.partition("=")
        if not pair:
            continue
        if not name or not separator or "=" in value:
            raise StartupError(f"{NO_URL}: each of its options is name=value.")
        yield name, value


def _check(name: str, value: str) -> None:
    """Raises StartupError for a value that the driver would ignore: a misspelt authMechanism is no mechanism."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            split_options(f"{name}={value}", validate=True, warn=False)
    except OSError as failure:
        raise StartupError(_unreadable(name, failure)) from None
    except (PyMongoError, ValueError, TypeError):
        raise StartupError(f"RELAY_MONGO_URL: {name} has a value that cannot be used.") from None


def _check_files(options: dict[str, str]) -> None:
    """Raises StartupError for a file that holds no certificate, no key, or a key that cannot be opened."""
    for name in _FILES:
        if name not in options:
            continue
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if name == "tlsCertificateKeyFile":
                # Without a password OpenSSL would ask for one on the terminal.
                context.load_cert_chain(
                    options[name], password=options.get("tlsCertificateKeyFilePassword", "")
                )
            else:
                context.load_verify_locations(options[name])
        except ssl.SSLError:
            what = (
                "a certificate with its private key" if name == "tlsCertificateKeyFile" else "a certificate"
            )
            if name == "tlsCRLFile":
                what = "a list of revoked certificates"
            also = ", or tlsCertificateKeyFilePassword is not its password" if "Key" in name else ""
            raise StartupError(f"RELAY_MONGO_URL: the file of {name} is not {what} as PEM{also}.") from None
        except (OSError, ValueError) as failure:
            raise StartupError(_unreadable(name, failure)) from None


def _unreadable(name: str, failure: Exception) -> str:
    number = failure.errno if isinstance(failure, OSError) else None
    reason = {2: "there is no such file", 13: "the relay may not read it", 21: "it is a directory"}.get(
        number or 0
    )
    return f"RELAY_MONGO_URL: the file of {name} cannot be read{f': {reason}' if reason else ''}."


def _missing_compressors(names: str) -> list[str]:
    if not names:
        return []
    missing: list[str] = []
    for name in unquote_plus(names).split(","):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            split_options(f"compressors={name.strip()}", validate=True, warn=False)
        if caught:
            missing.append(name.strip() if name.strip() in ("snappy", "zlib", "zstd") else "an unknown one")
    return missing


def _client(url: str, options: dict[str, Any]) -> AsyncMongoClient[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would print what `warning_of` says
            return AsyncMongoClient(url, **options)
    except (PyMongoError, ValueError, TypeError, OSError) as failure:
        # The message of these may repeat the URL; a password must not be shown.
        raise StartupError(f"{NO_URL}{_why(str(failure))}.") from None


def _why(said: str) -> str:
    """What the driver said, as a clause of ours."""
    for sign, reason in (
        ("must be escaped", _ESCAPE),
        ("database name", ": the database in it has a name that none can have"),
        ("assword is required", ": it names a user without a password"),
        ("empty string", ": the user before its @ is empty"),
        ("username", ": its authMechanism needs a user"),
        ("OIDC", ": MONGODB-OIDC needs an ENVIRONMENT in authMechanismProperties"),
        ("onflicting", ": its options contradict each other"),
        ("ort must be an integer", ": a port is a number from 1 to 65535"),
        ("ort contains", ": a port is a number from 1 to 65535"),
        ("dnspython", " that can be used here: mongodb+srv:// needs the package dnspython"),
        ("only allowed with", ": an option of it is only for mongodb+srv://"),
        ("cannot be specified", ": its options contradict each other"),
        ("Cannot specify", ": its options contradict each other"),
        ("cannot specify", ": its options contradict each other"),
        ("URIs must", ": mongodb+srv:// takes one host without a port"),
    ):
        if sign in said:
            return reason
    return ""

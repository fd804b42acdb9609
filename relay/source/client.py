"""Make MongoDB clients from `RELAY_MONGO_URL`, and decide which of its options the relay uses.

Rules of this file: an option is used only if KEPT names it, so an option that a later driver adds changes nothing.
Errors, warnings and logs show only the hosts and the names of known options, because an unescaped password may look
like any other part of the URL.
"""

from __future__ import annotations

import logging
import re
import ssl
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_plus

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import split_options

from relay.config import Settings, secrets_of
from relay.errors import StartupError, but_is
from relay.source.credentials import unescaped
from relay.source.diagnosis import printable
from relay.source.members import only_wanted

log = logging.getLogger(__name__)

# Options that the operator decides: where the database is, which members are read, who connects, and how bytes are
# transmitted.
KEPT = (
    *("appName", "authMechanism", "authMechanismProperties", "authSource", "compressors", "directConnection"),
    *("localThresholdMS", "maxIdleTimeMS", "replicaSet", "serverMonitoringMode", "srvAllowedHostsSuffix"),
    *("maxStalenessSeconds", "readPreference", "readPreferenceTags"),
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
# Options that the relay sets itself: timeouts, pool sizes, what it reads and how it decodes. `timeoutMS`, for example,
# would replace the wait of every getMore of the change stream.
OWN = (
    *("connectTimeoutMS", "datetime_conversion", "enableOverloadRetargeting", "heartbeatFrequencyMS"),
    *("maxAdaptiveRetries", "maxConnecting", "maxPoolSize", "minPoolSize"),
    *("readConcernLevel", "retryReads", "server_api"),
    *("serverSelectionTimeoutMS", "socketTimeoutMS", "timeoutMS", "tz_aware", "unicode_decode_error_handler"),
    *("uuidRepresentation", "waitQueueTimeoutMS"),
)
# Options that matter only for writes, which the relay never makes, and options without effect in this driver. Both are
# ignored silently, because many URLs that are copied from elsewhere have them (`?retryWrites=true&w=majority`).
MEANINGLESS = ("connect", "driver", "fsync", "journal", "retryWrites", "w", "waitQueueMultiple", "wTimeoutMS")
# Options that only other drivers know. They are ignored with a warning, because an operator may rely on them.
FOREIGN = ("proxyHost", "proxyPort", "proxyUsername", "proxyPassword")
REFUSED = {
    "loadBalanced": "loadBalanced=true is for a load balancer in front of mongos, through which the relay cannot "
    "follow a change stream: name the servers themselves",
}

MODES = ("primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest")
# The least that drivers accept. It is also the default: without a bound, a secondary that is hours behind is read.
MAX_STALENESS_S = 90

_NAMES = {name.lower(): name for name in (*KEPT, *OWN, *MEANINGLESS, *FOREIGN, *REFUSED)}
_FILES = ("tlsCAFile", "tlsCRLFile", "tlsCertificateKeyFile")
_LENIENT = ("tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames", "tlsDisableOCSPEndpointCheck")
_PARTS = re.compile(r"(?P<scheme>mongodb(?:\+srv)?)://(?P<place>[^?]*)(?:\?(?P<options>.*))?", re.DOTALL)
# Matches no URL with an @ or a slash in its password that is not escaped, because a part of that password could be
# taken for a host. Then no part of the URL is shown.
_HOSTS = re.compile(r"[a-z+]+://(?:[^@/?]*@)?([^@/?]+)(?:[/?][^@]*)?")
_ESCAPE = ": in a user and a password, : / ? # [ ] @ and % are written as %3A %2F %3F %23 %5B %5D %40 and %25"
NO_URL = "RELAY_MONGO_URL is not a MongoDB connection string"

SELECTION_MS = 5_000
# Milliseconds between heartbeats, at which the driver looks for a new primary. With its default of ten seconds, the
# stream could stop for that long after an election.
HEARTBEAT_MS = 1_000
SOCKET_MS = 30_000  # longer than every wait that the relay asks for; notices a server that stopped answering


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of `RELAY_MONGO_URL`.

    `options` holds the options that the relay uses. Its keys are their names, spelled as in KEPT; its values are still
    percent-encoded, as they are in the URL.
    """

    scheme: str
    place: str  # user, password, hosts and database
    options: dict[str, str]
    ignored: tuple[str, ...]  # names of known options that the relay does not use
    unknown: int  # the number of unknown options
    tags: tuple[str, ...] = ()  # the values of readPreferenceTags, which may occur several times

    @property
    def url(self) -> str:
        """The connection string for the driver: the operator's URL with only the options that the relay uses."""
        tags = (("readPreferenceTags", value) for value in self.tags)
        pairs = "&".join(f"{name}={value}" for name, value in (*self.options.items(), *tags))
        place = self.place if "/" in self.place else f"{self.place}/"
        return f"{self.scheme}://{place}?{pairs}" if pairs else f"{self.scheme}://{self.place}"

    @property
    def uses_tls(self) -> bool:
        """Whether the driver connects with TLS, because an option or the scheme mongodb+srv asks for TLS."""
        given = self.options.get("tls") or self.options.get("ssl")
        if given:
            return given.lower() == "true"
        # The driver also uses TLS if one of these options is given.
        asked = any(self.options.get(name) for name in (*_FILES, "tlsCertificateKeyFilePassword"))
        strict = any(self.options.get(name, "").lower() == "false" for name in _LENIENT)
        return asked or strict or self.scheme == "mongodb+srv"

    @property
    def mechanism(self) -> str:
        """The value of the option authMechanism in capitals; empty if it is not given."""
        return self.options.get("authMechanism", "").upper()

    def of_one_server(self, host: str, port: int | None, *, tls: bool | None = None) -> str:
        """Return a connection string for one server, without user, password or replica set.

        `host` is the path of a Unix socket if `port` is None. `tls` overrides the operator's TLS options: true is TLS
        that accepts every certificate, false is no TLS, and None keeps the options.
        """
        where = (
            quote(host, safe="") if port is None else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        )
        kept: dict[str, str] = {}
        if tls is None and self.uses_tls:
            kept = {name: value for name, value in self.options.items() if name.startswith("tls")}
            kept["tls"] = "true"
        elif tls:
            kept = {"tls": "true", "tlsInsecure": "true"}
        # Streaming heartbeats would open a second connection, and closing the client would leave it half open.
        kept |= {"directConnection": "true", "serverMonitoringMode": "poll"}
        pairs = "&".join(f"{name}={value}" for name, value in kept.items())
        return f"mongodb://{where}/?{pairs}"


def address_of(settings: Settings) -> Address:
    """Parse `RELAY_MONGO_URL`.

    Raises StartupError if the URL is missing or malformed, or has an option with a value that cannot be used.
    """
    url = settings.relay_mongo_url.get_secret_value()
    if not url:
        raise StartupError(
            "RELAY_MONGO_URL is not set: where is MongoDB, such as mongodb://localhost:27017/?replicaSet=rs0."
        )
    parts = _PARTS.fullmatch(url)
    if parts is None:
        raise StartupError(f"{NO_URL}: it begins with mongodb:// or mongodb+srv://.")
    # The only unescaped @ of a correct URL is the one before the hosts, which comes before every / and ?. An @ after
    # these shows a password that contains them unescaped, and the driver would use part of that password as a host.
    if "@" in parts["place"].partition("/")[2] or "@" in (parts["options"] or ""):
        raise StartupError(f"{NO_URL}{_ESCAPE}; so is an @ in an option.")
    options: dict[str, str] = {}
    ignored: list[str] = []
    tags: list[str] = []
    unknown = 0
    for name, value in _pairs(parts["options"] or ""):
        known = _NAMES.get(name.lower())
        if known in REFUSED:
            if value.lower() != "false":
                raise StartupError(f"RELAY_MONGO_URL: {REFUSED[known]}.")
        elif known == "readPreferenceTags":
            tags.append(value)
        elif known in KEPT:
            options[known] = value
        elif known is None:
            unknown += 1
        elif known not in MEANINGLESS and known not in ignored:
            ignored.append(known)
    for name, value in options.items():
        if name != "readPreference":
            _check(name, value)
    for value in tags:
        _check("readPreferenceTags", value)
    options |= _reads(options, tags)
    _check_files({name: unquote_plus(value) for name, value in options.items()})
    address = Address(parts["scheme"], parts["place"], options, tuple(ignored), unknown, tuple(tags))
    if address.mechanism == "MONGODB-X509" and not (address.uses_tls and "tlsCertificateKeyFile" in options):
        raise StartupError(
            "RELAY_MONGO_URL: authMechanism=MONGODB-X509 needs tls=true, and the user's certificate in "
            "tlsCertificateKeyFile."
        )
    return address


def client_of(settings: Settings, **overrides: Any) -> AsyncMongoClient[Any]:
    """Make a client of the configured database. The client connects when it is first used.

    `overrides` are options of the driver that replace those that the relay sets. Raises StartupError if
    `RELAY_MONGO_URL` cannot be used.
    """
    address = address_of(settings)
    options: dict[str, Any] = {
        "serverSelectionTimeoutMS": SELECTION_MS,
        "connectTimeoutMS": SELECTION_MS,
        "socketTimeoutMS": SOCKET_MS,
        "heartbeatFrequencyMS": HEARTBEAT_MS,
        "server_selector": only_wanted,
    }
    return _client(
        address.url, options | ({} if "appName" in address.options else {"appname": "relay"}) | overrides
    )


def client_of_one(
    address: Address, host: str, port: int | None, *, tls: bool | None = None, **options: Any
) -> AsyncMongoClient[Any]:
    """Make a client of one server, without credentials, to ask for what a server tells before authentication.

    `host` is the path of a Unix socket if `port` is None. `tls` overrides the TLS options of `address`: true is TLS
    that accepts every certificate, false is no TLS, and None keeps the options. `options` are passed to the driver.
    Raises StartupError if the driver refuses the address.
    """
    return _client(address.of_one_server(host, port, tls=tls), options | {"appname": "relay"})


def warning_of(settings: Settings) -> str | None:
    """Return a sentence about the options of `RELAY_MONGO_URL` that the relay ignores; None if there are none.

    Raises StartupError if the URL is missing or malformed, or has an option with a value that cannot be used.
    """
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
    """Return the hosts of `RELAY_MONGO_URL` for logs: without user and password, and without control characters."""
    url = _HOSTS.fullmatch(settings.relay_mongo_url.get_secret_value())
    return printable(url[1], None) if url else "the hosts of RELAY_MONGO_URL"


def names_of(settings: Settings) -> tuple[str, str]:
    """Return the configured names of the database and of the collection.

    Raises StartupError if MongoDB does not allow one of the names, or if the database is admin, config or local, which
    are MongoDB's own.
    """
    database, collection = settings.relay_mongo_database, settings.relay_tasks_collection
    secrets = secrets_of(settings)
    if re.search(r'[/\\. "$\0]', database) or len(database.encode(errors="replace")) > 63:
        raise StartupError(
            'RELAY_MONGO_DATABASE: must have at most 63 bytes and none of / \\ . " $ or blanks'
            f"{but_is(database, secrets)}."
        )
    if database in ("admin", "config", "local"):
        raise StartupError(
            "RELAY_MONGO_DATABASE: must not be one of MongoDB's own, admin, config and local"
            f"{but_is(database, secrets)}."
        )
    if (
        re.search(r"^\.|^system\.|[$\0]", collection)
        or len(f"{database}.{collection}".encode(errors="replace")) > 255
    ):
        raise StartupError(
            "RELAY_TASKS_COLLECTION: must have no $, begin with neither a dot nor system., and have, with the name of "
            f"its database, at most 255 bytes{but_is(collection, secrets)}."
        )
    return database, collection


def _pairs(options: str) -> Iterator[tuple[str, str]]:
    """Split the options of a URL, and yield the name and the value of each. Values stay percent-encoded.

    Raises StartupError if an option is not name=value, or if the options are separated by both & and ;.
    """
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
    """Raise StartupError if the driver would ignore the option `name` because of its value.

    An example is a misspelt authMechanism, which the driver only warns of.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            split_options(f"{name}={value}", validate=True, warn=False)
    except OSError as failure:
        raise StartupError(_unreadable(name, failure)) from None
    except (PyMongoError, ValueError, TypeError):
        raise StartupError(f"RELAY_MONGO_URL: {name} has a value that cannot be used.") from None


def _reads(options: Mapping[str, str], tags: Sequence[str]) -> dict[str, str]:
    """Return the options that say which members are read, completed and spelled as the driver wants them.

    Raises StartupError if there is no such read preference, or if another option does not fit it.
    """
    given = unquote_plus(options.get("readPreference", MODES[0]))
    mode = next((one for one in MODES if one.lower() == given.lower()), None)
    if mode is None:
        raise StartupError(
            f"RELAY_MONGO_URL: readPreference is one of {', '.join(MODES[:-1])} and {MODES[-1]}."
        )
    staleness = options.get("maxStalenessSeconds")
    if mode == MODES[0]:
        if tags or staleness is not None:
            name = "readPreferenceTags" if tags else "maxStalenessSeconds"
            raise StartupError(f"RELAY_MONGO_URL: {name} needs a readPreference other than primary.")
        return {"readPreference": mode} if "readPreference" in options else {}
    if staleness is not None and int(unquote_plus(staleness)) < MAX_STALENESS_S:
        raise StartupError(f"RELAY_MONGO_URL: maxStalenessSeconds is at least {MAX_STALENESS_S}.")
    return {"readPreference": mode, "maxStalenessSeconds": staleness or str(MAX_STALENESS_S)}


def _check_files(options: dict[str, str]) -> None:
    """Raise StartupError if a file that one of these options names is not what the option needs.

    A file may be unreadable, have no certificate or key, or have a key that the given password does not open.
    """
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
    """Return those of the names in the option compressors that the driver cannot use here."""
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
    """Make a client. Raises StartupError, without any part of the URL, if the driver refuses the URL or an option."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `warning_of` reports this in plainer words
            return AsyncMongoClient(url, **options)
    except (PyMongoError, ValueError, TypeError, OSError) as failure:
        # The messages of these exceptions may repeat the URL, and with it a password, which must not be shown.
        raise StartupError(f"{NO_URL}{_why(str(failure), url)}.") from None


def _why(said: str, url: str) -> str:
    """Return a clause in the relay's own words for the driver's error message `said`; empty if the error is unknown.

    The clause continues the sentence in NO_URL. The message itself is not used, because it may quote a password.
    """
    for sign, reason in (
        ("must be escaped", f": {named}" if (named := unescaped(url)) else _ESCAPE),
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

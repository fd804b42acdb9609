"""`relay config`: the settings and the mapping that are in force, and where each value comes from. Reads files only.

Rule of this file: a secret is never shown, nor a password or a token inside a URL.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from relay.auth.keys import key_paths, key_source
from relay.cli.printable import counted, visible
from relay.config import SECRETS, Settings, Source, source_of
from relay.errors import StartupError
from relay.gateway.certificate import certificate_of
from relay.pipeline import bus_of, mapping_of
from relay.source.client import address_of, client_of, names_of, warning_of
from relay.source.credentials import HIDDEN, without_secrets
from relay.tasks.mapping import Mapping

EXIT_CANNOT_START = 3
SOURCE_WIDTH = len("environment")
VALUE_CHARS = 400  # of one value in a line
# Options of RELAY_REDIS_URL whose value is shown: no secret, but a number, a choice or the path of a file.
_REDIS_OPTIONS = ("db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_cert_reqs")
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]+)?|\[[0-9A-Fa-f:.]+\](?::[0-9]+)?")
_BY_KIND = ("event_types", "statuses")  # tables of the mapping that have the names for each kind of message


class Entry(NamedTuple):
    """One value in force: a JSON value, None if it is not set, and where it comes from."""

    name: str
    value: Any
    source: Source


def run(settings: Settings, out: TextIO, err: TextIO, *, as_json: bool) -> int:
    """Print the values, and after them each sentence about what cannot be used. Return the exit code: 3 if there is
    such a sentence, otherwise 0."""
    wrong = problems(settings)
    values = settings_in_force(settings)
    try:
        keys = mapping_in_force(settings)
    except StartupError:  # one of `wrong`
        keys = []
    out.write(to_json(values, keys, wrong) if as_json else to_text(values, keys))
    out.flush()
    for sentence in [*_warnings(settings), *wrong]:
        err.write(f"relay: {sentence}\n")
    return EXIT_CANNOT_START if wrong else 0


def settings_in_force(settings: Settings) -> list[Entry]:
    """Return every setting with its value, a secret as HIDDEN."""
    return [
        Entry(name.upper(), _shown(settings, name), source_of(settings, name))
        for name in Settings.model_fields
    ]


def mapping_in_force(settings: Settings) -> list[Entry]:
    """Return every key of the mapping with its value. Raises StartupError if the mapping cannot be used."""
    mapping = mapping_of(settings)
    given = _keys_given(settings.relay_mapping)
    return [Entry(key, value, "file" if key in given else "default") for key, value in _flattened(mapping)]


def problems(settings: Settings) -> list[str]:
    """Return the sentences with which `relay serve` would refuse to start, before it asks the database."""
    found = []
    for check in (names_of, address_of, key_source, mapping_of, bus_of, certificate_of, client_of):
        try:
            check(settings)
        except StartupError as failure:
            found.append(str(failure))
    return [*dict.fromkeys(found)]


def _warnings(settings: Settings) -> list[str]:
    found = []
    with suppress(StartupError):
        found.append(warning_of(settings))
    with suppress(StartupError):
        certificate = certificate_of(settings)
        found.append(certificate.warning() if certificate is not None else None)
    return [warning for warning in found if warning is not None]


def to_text(settings: list[Entry], mapping: list[Entry]) -> str:
    """Return a line for each value: where it comes from, its name and the value itself."""
    width = max(len(entry.name) for entry in (*settings, *mapping))
    lines = [
        f"{entry.source:{SOURCE_WIDTH}}  {entry.name:{width}}  {_in_words(entry.value)}".rstrip()
        for entry in (*settings, *mapping)
    ]
    given, from_files = (
        sum(entry.source == source for entry in settings) for source in ("environment", "file")
    )
    read = sum(entry.source != "default" for entry in mapping)
    head = f"relay config: {counted(given, 'setting')} from the environment, "
    head += f"{from_files} from files, " if from_files else ""
    head += f"{counted(read, 'key')} of the mapping from its file"
    return "\n".join([head, "", *lines, ""])


def to_json(settings: list[Entry], mapping: list[Entry], problems: list[str]) -> str:
    """Return the values, and the sentences about what cannot be used, as one JSON object on one line."""
    shown = {
        "settings": {entry.name: {"value": entry.value, "source": entry.source} for entry in settings},
        "mapping": {entry.name: {"value": entry.value, "source": entry.source} for entry in mapping},
        "problems": problems,
    }
    return json.dumps(shown) + "\n"


def _shown(settings: Settings, name: str) -> Any:
    value = getattr(settings, name)
    if value is None or (name in SECRETS and not str(value)):
        return None
    match name:
        case "relay_mongo_url":
            return _mongo_url(settings)
        case "relay_redis_url":
            return _redis_url(settings)
        case "relay_jwt_public_key":
            return _paths_of(value.get_secret_value())
        case "relay_jwks_url":
            return _server(value)
        case _ if name in SECRETS:
            return HIDDEN
        case _:
            return _plain(value)


def _mongo_url(settings: Settings) -> str:
    try:
        client_of(settings)  # of a URL that the driver refuses, any part may be a password
        return without_secrets(address_of(settings))
    except StartupError:
        return HIDDEN


def _redis_url(settings: Settings) -> str:
    try:
        bus_of(settings)
    except StartupError:
        return HIDDEN
    parts = urlsplit(settings.relay_redis_url.get_secret_value())
    credentials, at, host = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    netloc = f"{user}{f':{HIDDEN}' if colon else ''}{at}{host}"
    number = unquote(parts.path.strip("/"))
    path = parts.path if parts.scheme == "unix" or not number or number.isdecimal() else f"/{HIDDEN}"
    # Read as the client reads them, because it also knows an option by a name that is percent-encoded.
    options = [
        (name, value if name in _REDIS_OPTIONS else HIDDEN)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return parts._replace(netloc=netloc, path=path, query=urlencode(options, safe="/:*")).geturl()


def _server(url: str) -> str:
    """Return scheme, host and port of a URL, and HIDDEN for everything behind them, where a token may be."""
    parts = urlsplit(url)
    if not _HOST.fullmatch(parts.netloc):
        return HIDDEN
    rest = url.partition("://")[2][len(parts.netloc) :].strip("/")
    return f"{parts.scheme}://{parts.netloc}{f'/{HIDDEN}' if rest else ''}"


def _paths_of(key: str) -> str:
    """Return the paths of public keys; HIDDEN if this is a key itself, which may be a private one by mistake."""
    try:
        paths = key_paths(key)
        return " ".join(paths) if all(Path(path).is_file() for path in paths) else HIDDEN
    except (OSError, ValueError):
        return HIDDEN


def _keys_given(path: Path | None) -> set[str]:
    """Return the keys that the mapping file has, such as `fields.title` or `list_order`."""
    if path is None:
        return set()
    table = tomllib.loads(path.read_text("utf-8"))
    inner = {f"{key}.{name}" for key, value in table.items() if isinstance(value, dict) for name in value}
    return inner | table.keys()


def _flattened(mapping: Mapping) -> Iterator[tuple[str, Any]]:
    """Yield each key of a mapping file, as the file spells it, with its value in this mapping."""
    for part in dataclasses.fields(Mapping):
        value = getattr(mapping, part.name)
        if part.name in _BY_KIND:
            names: dict[str, list[str]] = defaultdict(list)
            for name, kind in value.items():
                names[kind.removeprefix("task:")].append(name)
            yield from ((f"{part.name}.{kind}", listed) for kind, listed in names.items())
        elif part.name == "needs":
            yield from _needs(mapping)
        elif dataclasses.is_dataclass(value):
            for inner in dataclasses.fields(value):
                key, shown = f"{part.name}.{inner.name}", _plain(getattr(value, inner.name))
                # A pattern that finds a secret may contain a part of it.
                yield key, [HIDDEN] * len(shown) if key == "redact.patterns" and shown else shown
        else:
            yield part.name, _plain(value)


def _needs(mapping: Mapping) -> Iterator[tuple[str, Any]]:
    if mapping.needs is None:
        yield "needs", False
    yield from ((f"needs.{stage}", _plain(rules)) for stage, rules in mapping.waiting().items())


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; None if it is empty."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value] or None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {part.name: _plain(getattr(value, part.name)) for part in dataclasses.fields(value)}
    if isinstance(value, bool | int | None):
        return value
    return str(value) or None


def _in_words(value: Any) -> str:
    match value:
        case None:
            return "(not set)"
        case bool():
            return str(value).lower()
        case list() if all(isinstance(one, str) for one in value):
            return visible(", ".join(value), VALUE_CHARS)
        case list():
            return visible("; ".join(map(_in_words, value)), VALUE_CHARS)
        case dict():
            return ", ".join(f"{name} = {_in_words(one)}" for name, one in value.items())
        case _:
            return visible(str(value), VALUE_CHARS)

"""Environment variables that look like settings but are not: those of Kubernetes Services, and misspelt ones. Pure.

Rule of this file: only the name of a variable is shown. Its value may be a secret under a misspelt name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

# Read by `relay tail`, by `relay admin` and by the tests; not settings of the relay.
ALSO_KNOWN = ("RELAY_URL", "RELAY_ADMIN_URL", "RELAY_TOKEN")
TESTS_PREFIX = "RELAY_TEST_"
PREFIXES = ("RELAY_", "FEATURE_WEBSOCKET_")
FOREIGN_PREFIX = (
    "FEATURE_"  # other programs use it too, so only a name very like one of ours counts as misspelt
)
ALIKE, VERY_ALIKE = 0.72, 0.85  # similarity as difflib measures it, from 0 to 1
MAX_WARNINGS = 20
MAX_NAME_CHARS = 80

# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_LINK_NAME = re.compile(
    r".+(?:_SERVICE_HOST|_SERVICE_PORT(?:_\w+)?|_PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_PROTO|_PORT|_ADDR)?)"
)
_LINK_VALUE = re.compile(r"(?:tcp|udp|sctp)://\S+", re.IGNORECASE)


def is_service_link(name: str, value: str) -> bool:
    """Is this a variable that Kubernetes sets for a Service, such as RELAY_PORT=tcp://10.0.0.1:8080?"""
    name = name.upper()
    return bool(
        _LINK_NAME.fullmatch(name) or (name.endswith("_PORT") and _LINK_VALUE.fullmatch(value.strip()))
    )


def warnings(environment: Mapping[str, str], settings: Collection[str]) -> list[str]:
    """Return one sentence for all variables of Services together, and one for each variable that looks like a setting
    but is not one."""
    known = [*settings, *ALSO_KNOWN]
    links: list[str] = []
    misspelt: list[str] = []
    for name in sorted(environment):
        upper = name.upper()
        if upper.startswith(PREFIXES) and is_service_link(name, environment[name]):
            links.append(_shown(name))
        elif upper in known or upper.startswith(TESTS_PREFIX):
            continue
        elif upper.startswith(PREFIXES):
            misspelt.append(_unknown(name, _near(upper, known)))
        elif upper.startswith(FOREIGN_PREFIX) and (near := get_close_matches(upper, known, 1, VERY_ALIKE)):
            misspelt.append(_unknown(name, near))
    return ([_of_links(links)] if links else []) + _few(misspelt)


def warnings_of_file(names: Collection[str], settings: Collection[str]) -> list[str]:
    """Return a sentence for each of these names in the settings file that is not a setting."""
    return _few(
        [
            _unknown(name, _near(name, settings), " in the settings file")
            for name in sorted(names)
            if name not in settings
        ]
    )


def _few(sentences: list[str]) -> list[str]:
    """Return these sentences, at most MAX_WARNINGS and another one that says how many there are beside them."""
    more = len(sentences) - MAX_WARNINGS
    return (
        [*sentences[:MAX_WARNINGS], f"{more} more names are not settings of the relay."]
        if more > 0
        else sentences
    )


def _near(name: str, known: Collection[str]) -> list[str]:
    """Return the known name that is most like this one, or none if none is. The prefix that nearly all have in common
    does not count, because it would make any two short names alike."""
    rest = {one.removeprefix(PREFIXES[0]): one for one in known}
    return [rest[one] for one in get_close_matches(name.removeprefix(PREFIXES[0]), rest, 1, ALIKE)]


def _of_links(names: list[str]) -> str:
    # Name the shortest: RELAY_PORT, if it is among them, is the one that an operator may expect to be read.
    first = min(names, key=len)
    others = f" and {len(names) - 1} more are" if len(names) > 1 else " is"
    return (
        f"{first}{others} not read: Kubernetes sets such variables for a Service of this name; "
        "enableServiceLinks: false in the Pod's spec removes them."
    )


def _unknown(name: str, near: list[str], where: str = "") -> str:
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"{_shown(name)}{where} is not a setting of the relay, and is not read{hint}"


def _shown(name: str) -> str:
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
    return printable if len(printable) <= MAX_NAME_CHARS else printable[: MAX_NAME_CHARS - 1] + "…"

"""The user and the password in `RELAY_MONGO_URL`: what keeps them from being read, and the URL without them. Pure.

Rule of this file: of a password at most the special characters are named that have to be written otherwise.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.source.client import Address

HIDDEN = "***"
_ESCAPED = {":": "%3A", "@": "%40", "%": "%25"}
# Options of RELAY_MONGO_URL whose value is no secret, such as a number, a choice, a name or the path of a file.
_SHOWN_OPTIONS = (
    *("appName", "authMechanism", "authSource", "compressors", "directConnection", "localThresholdMS"),
    *("maxIdleTimeMS", "maxStalenessSeconds", "readPreference", "replicaSet", "serverMonitoringMode"),
    *("srvAllowedHostsSuffix", "srvMaxHosts", "srvServiceName", "ssl", "tls", "tlsAllowInvalidCertificates"),
    *("tlsAllowInvalidHostnames", "tlsCAFile", "tlsCRLFile", "tlsCertificateKeyFile"),
    *("tlsDisableOCSPEndpointCheck", "tlsInsecure", "zlibCompressionLevel"),
)
# Mechanisms with which a URL may name a user without a password.
_USER_ALONE = ("MONGODB-X509", "MONGODB-OIDC", "GSSAPI")


def unescaped(url: str) -> str:
    """Return a clause that names each character that must be escaped in the user or the password of this URL, such as
    `in its user or its password, @ is written as %40`; empty if there is none."""
    credentials = url.partition("://")[2].rpartition("@")[0]
    found = [
        character
        for character, wrong in (
            (":", credentials.count(":") > 1),
            ("@", "@" in credentials),
            ("%", re.search(r"%(?![0-9A-Fa-f]{2})", credentials)),
        )
        if wrong
    ]
    if not found:
        return ""
    first, *others = found
    also = "".join(f" and {one} as {_ESCAPED[one]}" for one in others)
    return f"in its user or its password, {first} is written as {_ESCAPED[first]}{also}"


def without_secrets(address: Address) -> str:
    """Return the connection string of this address, with HIDDEN in place of the password and of the values
    of all options that may be secret."""
    credentials, at, hosts = address.place.rpartition("@")
    user, colon, _ = credentials.partition(":")
    if not colon and address.mechanism not in _USER_ALONE:
        user = HIDDEN  # a password may have been written in its place
    place = f"{user}{f':{HIDDEN}' if colon else ''}@{hosts}" if at else hosts
    options = {name: value if name in _SHOWN_OPTIONS else HIDDEN for name, value in address.options.items()}
    return replace(address, place=place, options=options).url

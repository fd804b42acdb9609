"""Reads RELAY_JWT_SECRET: which secrets it contains, and whether each can be used. Pure.

Rule of this file: no message contains a secret or a part of one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from pydantic import SecretStr

# The smallest secret for each algorithm, in bytes: as long as its hash (RFC 7518, 3.2).
SHARED_SECRET_ALGORITHMS = {"HS256": 32, "HS384": 48, "HS512": 64}
MIN_SECRET_BYTES = 32
MAX_SECRETS = 3  # one less than the verifier tries, which also tries the whole text as one secret
ORDINALS = ("first", "second", "third", "fourth")

# Recognises a public key that was pasted where the secret belongs. Everyone may know a public key, so everyone could
# sign tokens with it.
_KEY_TEXT = re.compile(
    r"-\s?BEGIN [A-Z0-9 ]*(KEY|CERTIFICATE)|^\W*(ssh-|ecdsa-sha2-|sk-ssh-)|\"(kty|keys)\"\s*:", re.IGNORECASE
)
_KEY_OBJECTS = (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01", b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x06\x03\x2b\x65\x70")
_ADVICE = "openssl rand -hex 32 makes one"


def secrets_in(text: str) -> tuple[str, ...]:
    """Return the secrets that this value contains, the one to sign with first.

    Lines are secrets if there are several and each is long enough; otherwise the words between blanks are, under the
    same condition; otherwise the whole text is one secret. So a passphrase with blanks is still one secret.
    """
    lines = _lines(text)
    for parts in (lines, re.split(r"[ \t\r\n]+", text.strip(" \t\r\n"))):
        if len(parts) > 1 and all(_is_long_enough(part) for part in parts):
            return tuple(dict.fromkeys(parts))
    return (text,)


def verifying(text: str) -> tuple[str, ...]:
    """Return the secrets to verify tokens with: those of `secrets_in`, and the whole text.

    The text counts as well because it may be meant as one secret that has a line end or a blank in it, such as one that
    `openssl rand -base64 96` has printed in two lines. Whoever signs with it must not be signed out."""
    return tuple(dict.fromkeys((*secrets_in(text), text)))


def checked(secret: SecretStr) -> SecretStr:
    """Return the value of RELAY_JWT_SECRET as it is. Raises ValueError with a reason if one of its secrets cannot be
    used."""
    text = secret.get_secret_value()
    parts = secrets_in(text)
    for one in (text, *parts):
        if _KEY_TEXT.search(one) or _is_der_key(one):
            raise ValueError(
                "must be a random secret, but this looks like a key; a public key belongs in RELAY_JWT_PUBLIC_KEY"
            )
    if not _is_long_enough(text):
        raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes long; {_ADVICE}")
    if len(parts) > 1 and any(part.lstrip(" \t").startswith("#") for part in parts):
        # It would be a secret, and its text is easily guessed.
        raise ValueError("must have no comment (#) among its secrets")
    if len(parts) > MAX_SECRETS:
        raise ValueError(f"must be at most {MAX_SECRETS} secrets, but contains {len(parts)}")
    if any(len(secrets_in(part)) > 1 for part in parts if len(parts) > 1):
        raise ValueError("must separate secrets either by lines or by blanks, but has both")
    return secret


def check_lines(text: str) -> None:
    """Raise ValueError with a reason if one of several lines of a file is too short for a secret."""
    lines = _lines(text)
    for ordinal, line in zip(ORDINALS, lines, strict=False):
        if len(lines) > 1 and not _is_long_enough(line):
            raise ValueError(
                f"must have one secret of at least {MIN_SECRET_BYTES} bytes in each line, but the {ordinal} is shorter"
            )


def too_short(text: str, algorithm: str) -> str | None:
    """Return a name for the first secret that this algorithm must not be used with, because it has too few bytes: such
    as `the second secret of RELAY_JWT_SECRET`. None if all are long enough."""
    parts: Sequence[str] = secrets_in(text)
    for ordinal, part in zip(ORDINALS, parts, strict=False):
        if len(part.encode()) < SHARED_SECRET_ALGORITHMS[algorithm]:
            return f"the {ordinal} secret of RELAY_JWT_SECRET" if len(parts) > 1 else "RELAY_JWT_SECRET"
    return None


def _lines(text: str) -> list[str]:
    return [line for line in re.split(r"\r?\n", text) if line.strip(" \t\r")]


def _is_long_enough(secret: str) -> bool:
    return len(secret.encode()) >= MIN_SECRET_BYTES


def _is_der_key(text: str) -> bool:
    """Is this the body of a PEM key (RSA, elliptic curve or Ed25519), without its BEGIN and END lines?"""
    try:
        der = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return der[:1] == b"\x30" and any(name in der[:40] for name in _KEY_OBJECTS)

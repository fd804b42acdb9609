"""What may verify a token: keys, and the algorithms each may be used with. Pure.

Rules of this file: what a key may be used with is decided by its own type, what it says of itself
and the settings, never by a token; a key that is no public key, is too short or says that it is
for something else does not become one of ours; nothing here ever shows a key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from relay.protocol.nesting import is_nested_deeper

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 16_384  # OpenSSL refuses longer ones
MAX_KEYS = 100  # of a JWKS; one with more is not taken
MAX_LEVELS = 16  # of lists and objects inside each other in a JWKS; keys with their certificates have four
MAX_KID = 256  # characters
MAX_TRIED = 4  # keys a token is tried with when it does not say which one

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_READERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}


class BadKey(ValueError):
    """This is no key to verify tokens with; the message is why, and continues "The key …"."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key, and the algorithms it may be used with."""

    material: bytes | PublicKey
    algorithms: tuple[str, ...]
    kid: str | None = None


class KeySet:
    """The keys of one moment."""

    def __init__(self, keys: Iterable[Key], algorithms: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self.algorithms = frozenset(algorithms)  # what the settings allow

    def __len__(self) -> int:
        return len(self._keys)

    def has(self, kid: str) -> bool:
        """Is there a key of this name?"""
        return any(key.kid == kid for key in self._keys)

    def fitting(self, algorithm: str, kid: str | None) -> list[Key]:
        """The keys that may have signed this, a few at most: those of the name, if it gives one, and
        those without a name of their own."""
        fit = [key for key in self._keys if algorithm in key.algorithms]
        if kid is not None:
            fit = [key for key in fit if key.kid == kid] + [key for key in fit if key.kid is None]
        return fit[:MAX_TRIED]


def from_secret(secret: str, algorithms: Sequence[str]) -> KeySet:
    """The shared secret; the settings have looked at it."""
    return KeySet([Key(secret.encode(), tuple(algorithms))], algorithms)


def from_pem(text: str, algorithms: Sequence[str]) -> KeySet:
    """One public key. Raises BadKey."""
    if "PRIVATE KEY" in text:
        raise BadKey(
            "is a private key, which only the signer may have; give its public key (openssl pkey -pubout)"
        )
    if "CERTIFICATE" in text:
        raise BadKey("is a certificate; give the public key in it (openssl x509 -pubkey -noout)")
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("is not a public key in PEM") from None
    return KeySet([_key(key, algorithms, None, None)], algorithms)


def from_jwks(document: bytes, algorithms: Sequence[str]) -> tuple[KeySet, int]:
    """The usable keys of a JSON Web Key Set, and how many others it has. Raises BadKey."""
    if is_nested_deeper(document, MAX_LEVELS):
        raise BadKey(f"set is nested deeper than {MAX_LEVELS} levels")
    try:
        read = json.loads(document.decode("utf-8-sig"))
    except ValueError:
        raise BadKey("set is not JSON") from None
    listed = read.get("keys") if isinstance(read, dict) else None
    if not isinstance(listed, list):
        raise BadKey("set has no list of keys")
    if len(listed) > MAX_KEYS:
        raise BadKey(f"set has more than {MAX_KEYS} keys")
    keys = []
    for jwk in listed:
        try:
            keys.append(_from_jwk(jwk, algorithms))
        except BadKey:
            continue  # keys for encryption, of other types, … are usual
    if not keys:
        raise BadKey(f"set has no key that may be used with {', '.join(algorithms)}")
    return KeySet(keys, algorithms), len(listed) - len(keys)


def _from_jwk(jwk: Any, algorithms: Sequence[str]) -> Key:
    """RFC 7517. Raises BadKey."""
    if not isinstance(jwk, Mapping):
        raise BadKey("is not an object")
    kty, kid, stated = jwk.get("kty"), jwk.get("kid"), jwk.get("alg")
    reader = _READERS.get(kty) if isinstance(kty, str) else None
    if reader is None:
        raise BadKey("is of another type")  # oct above all: a secret has no place where all can read it
    if "d" in jwk:
        raise BadKey("is a private key that all can read")  # nor is it loaded, which takes long
    if jwk.get("use", "sig") != "sig":
        raise BadKey("is for another use")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise BadKey("is for another use")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID):
        raise BadKey("has no usable name")
    if stated is not None and not isinstance(stated, str):
        raise BadKey("has no usable algorithm")
    try:
        key = reader(dict(jwk))
    except Exception:  # whatever a foreign document makes the libraries raise
        raise BadKey("cannot be read") from None
    return _key(key, algorithms, kid, stated)


def _key(key: object, algorithms: Sequence[str], kid: str | None, stated: str | None) -> Key:
    """Raises BadKey when it can serve none of the algorithms."""
    kind, able = _abilities(key)
    usable = tuple(name for name in algorithms if name in able and stated in (None, name))
    if not usable:
        raise BadKey(
            f"is {kind}, which can be used with {' or '.join(able)} but not with {', '.join(algorithms)}; "
            "RELAY_JWT_ALGORITHMS says which are accepted"
        )
    assert isinstance(key, PublicKey)
    return Key(key, usable, kid)


def _abilities(key: object) -> tuple[str, Sequence[str]]:
    """What it is, and the algorithms of its type. Raises BadKey."""
    match key:
        case RSAPublicKey():
            if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                raise BadKey(f"has {key.key_size} bits; RSA needs {MIN_RSA_BITS} or more")
            return "an RSA key", _RSA
        case EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return f"a key of the curve {key.curve.name}", [_CURVES[key.curve.name]]
        case Ed25519PublicKey() | Ed448PublicKey():
            return "an Edwards curve key", ["EdDSA"]
    raise BadKey("is of a type that signs no tokens")

"""Loads the keys that verify tokens from the source that the settings name, and decides which algorithms each key may
be used with.

Rules of this file: which algorithms a key may be used with depends on the type of the key, on its own attributes
(`alg`, `use`) and on the settings, never on a token; a public key is accepted only if it is long enough and meant for
signatures; no message ever contains a key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import InvalidKeyError, get_algorithm_by_name
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from relay import jwt_secrets
from relay.config import Settings
from relay.errors import StartupError
from relay.file_content import content_of
from relay.protocol.nesting import is_nested_deeper

if TYPE_CHECKING:
    from relay.auth.jwks import RemoteKeys

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 16_384  # OpenSSL refuses longer ones
MAX_KEYS = 100  # in a JWKS; one with more is rejected
MAX_LEVELS = 16  # of nested lists and objects in a JWKS; a JWKS with keys and their certificates has four
MAX_KID = 256  # characters
MAX_TRIED = 4  # how many keys are tried to verify one token
MAX_PEM_BYTES = 64 * 1024

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_READERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}


class BadKey(ValueError):
    """A key, or a set of keys, that cannot be used to verify tokens. The message is the reason, worded so that it
    continues a sentence that begins with "The key"; `which` takes the place of "key" if there are several."""

    def __init__(self, reason: str, which: str = "key") -> None:
        super().__init__(reason)
        self.which = which


@dataclass(frozen=True, slots=True)
class Key:
    """One key that verifies tokens, and the algorithms that it may be used with. `kid` is its name in the JSON Web Key
    Set (JWKS) that it comes from; None if it has no name."""

    material: bytes | PublicKey  # bytes if it is a shared secret
    algorithms: tuple[str, ...]
    kid: str | None = None


class KeySet:
    """An immutable set of keys that verify tokens. `algorithms` are the names of those that the settings allow."""

    def __init__(self, keys: Iterable[Key], algorithms: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self.algorithms = frozenset(algorithms)

    def __len__(self) -> int:
        return len(self._keys)

    def contains(self, key: object) -> bool:
        """Return whether this key is in the set, whatever name (`kid`) and algorithms it has there."""
        return isinstance(key, Key) and any(key.material == one.material for one in self._keys)

    def is_like(self, other: KeySet | None) -> bool:
        """Return whether the other set has the same keys, with the same names and algorithms."""
        return other is not None and (self._keys, self.algorithms) == (other._keys, other.algorithms)

    def has(self, kid: str) -> bool:
        """Return whether one of the keys has this name (`kid`)."""
        return any(key.kid == kid for key in self._keys)

    def fitting(self, algorithm: str, kid: str | None) -> list[Key]:
        """Return the keys that may verify a token whose header has this algorithm and this `kid`; at most MAX_TRIED.

        If `kid` is given, these are the keys with this name, followed by the keys that have no name. If it is None,
        they are all keys that may be used with the algorithm."""
        fit = [key for key in self._keys if algorithm in key.algorithms]
        if kid is not None:
            fit = [key for key in fit if key.kid == kid] + [key for key in fit if key.kid is None]
        return fit[:MAX_TRIED]


def from_secret(text: str, algorithms: Sequence[str]) -> KeySet:
    """Return a set with the shared secrets in this value of RELAY_JWT_SECRET as its keys. The settings have checked the
    length of each already. Raises BadKey if the value is a public key or a certificate, which everyone may know."""
    secrets = jwt_secrets.verifying(text)
    try:
        for name in algorithms:
            for secret in secrets:
                get_algorithm_by_name(name).prepare_key(secret)
    except InvalidKeyError:
        raise BadKey("is no secret but a public key or a certificate") from None
    return KeySet([Key(secret.encode(), tuple(algorithms)) for secret in secrets], algorithms)


def from_pem(texts: Sequence[str], algorithms: Sequence[str]) -> KeySet:
    """Return a set with the public keys in these texts, each of which contains one or more in the format PEM.

    Raises BadKey if a text has no public key, if it contains another kind of key, if one cannot be used with any of
    `algorithms`, or if there are more than MAX_TRIED."""
    blocks = [block for text in texts for block in _blocks(text)]
    if len(blocks) > MAX_TRIED:
        raise BadKey(f"list has more than {MAX_TRIED} keys")
    keys = []
    for ordinal, block in zip(jwt_secrets.ORDINALS, blocks, strict=False):
        try:
            keys.append(_from_block(block, algorithms))
        except BadKey as failure:
            raise BadKey(str(failure), f"{ordinal} key" if len(blocks) > 1 else "key") from None
    return KeySet(keys, algorithms)


def _blocks(text: str) -> list[str]:
    """Divide a text before each line that begins a key, except before the first one."""
    before, *blocks = re.split(r"(?=-----BEGIN )", text)
    return [before + blocks[0], *blocks[1:]] if blocks else [before]


def _from_block(text: str, algorithms: Sequence[str]) -> Key:
    """Return the public key of one PEM block. Raises BadKey like `from_pem`."""
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
    return _key(key, algorithms, None, None)


def from_jwks(document: bytes, algorithms: Sequence[str]) -> tuple[KeySet, int]:
    """Return the usable keys of a JSON Web Key Set (JWKS), and the number of its keys that were ignored.

    A key is usable if it can verify signatures by one of `algorithms`. Raises BadKey if the document is not a JWKS,
    has too many keys or levels of nesting, or has no usable key.
    """
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
            continue  # a JWKS often contains keys for other purposes, such as encryption
    if not keys:
        raise BadKey(f"set has no key that may be used with {', '.join(algorithms)}")
    return KeySet(keys, algorithms), len(listed) - len(keys)


def _from_jwk(jwk: Any, algorithms: Sequence[str]) -> Key:
    """Parse one key of a JWKS (RFC 7517). Raises BadKey if it cannot verify signatures by one of `algorithms`."""
    if not isinstance(jwk, Mapping):
        raise BadKey("is not an object")
    kty, kid, stated = jwk.get("kty"), jwk.get("kid"), jwk.get("alg")
    reader = _READERS.get(kty) if isinstance(kty, str) else None
    if reader is None:
        raise BadKey("is of another type")  # such as `oct`: a shared secret must not be published
    if "d" in jwk:
        raise BadKey("is a private key that all can read")  # reject it before loading it, which is slow
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
    except Exception:  # a hostile document may make the libraries raise anything
        raise BadKey("cannot be read") from None
    return _key(key, algorithms, kid, stated)


def _key(key: object, algorithms: Sequence[str], kid: str | None, stated: str | None) -> Key:
    """Return the key together with those of `algorithms` that it may be used with. `kid` is its name. `stated` is the
    algorithm that its JWKS entry demands; None permits all of its type. Raises BadKey if no algorithm remains."""
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
    """Return a description of the key for messages, and the names of the algorithms that its type can be used with.

    Raises BadKey if the key has the wrong length, or a type that is not used for tokens.
    """
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


class FixedKeys:
    """Provides the verifier of tokens with keys that never change: those that the settings contain."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    def current(self) -> KeySet:
        """Return the keys to verify tokens with."""
        return self._keys

    def awaits_newer(self, token_digest: bytes) -> bool:
        """Return False: no newer keys will come, so a token that these keys do not verify can be refused for good."""
        return False

    async def run(self) -> None:
        """Return at once: these keys never change, so nothing has to be fetched."""

    async def refresh(self) -> None:
        """Return at once, for the same reason."""

    async def first(self, timeout_s: float) -> None:
        """Return at once: there is no need to wait for the first keys."""


def key_source(settings: Settings) -> FixedKeys | RemoteKeys:
    """Return the source of keys that the settings name: a shared secret, a public key, or the URL of a JWKS.

    Raises StartupError if the settings name none, or if the public key cannot be used.
    """
    algorithms = settings.relay_jwt_algorithms
    if settings.relay_jwt_secret is not None:
        try:
            return FixedKeys(from_secret(settings.relay_jwt_secret.get_secret_value(), algorithms))
        except BadKey as failure:
            raise StartupError(f"RELAY_JWT_SECRET: the key {failure}.") from None
    if settings.relay_jwt_public_key is not None:
        try:
            return FixedKeys(from_pem(_pem(settings.relay_jwt_public_key.get_secret_value()), algorithms))
        except BadKey as failure:
            raise StartupError(f"RELAY_JWT_PUBLIC_KEY: the {failure.which} {failure}.") from None
    if settings.relay_jwks_url is not None:
        from relay.auth.jwks import RemoteKeys  # imported only here: its HTTP client costs time and memory

        return RemoteKeys(settings.relay_jwks_url, algorithms)
    raise StartupError(
        "RELAY_JWT_SECRET is not set: the relay needs the shared secret its tokens are signed with, at least "
        "32 bytes, or in its place RELAY_JWT_PUBLIC_KEY or RELAY_JWKS_URL."
    )


def _pem(given: str) -> list[str]:
    """Return the value of RELAY_JWT_PUBLIC_KEY if it is PEM text, else the content of each file whose path it names.

    Raises StartupError if a file cannot be read. The message contains neither the value nor a content.
    """
    if "-BEGIN" in given:
        return [given]
    paths = key_paths(given)
    texts = []
    for ordinal, path in zip((*jwt_secrets.ORDINALS, "next"), paths, strict=False):
        try:
            texts.append(content_of(Path(path), MAX_PEM_BYTES).decode())
        except (OSError, ValueError) as failure:
            reason = getattr(failure, "strerror", None) or "it is not text"
            which = f"the {ordinal} of several: " if len(paths) > 1 else ""
            raise StartupError(
                f"RELAY_JWT_PUBLIC_KEY: must be PEM text or the path of a PEM file ({which}{reason})."
            ) from None
    return texts


def key_paths(given: str) -> list[str]:
    """Return the paths that this value of RELAY_JWT_PUBLIC_KEY names: one if there is a file of that name, which may
    have blanks in it; otherwise as many as blanks separate."""
    whole = given.strip()
    try:
        one = Path(whole).is_file()
    except (OSError, ValueError):
        one = True  # it cannot be a path, and is not to be divided either
    return [whole] if one else whole.split() or [whole]

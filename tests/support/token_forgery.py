"""Tokens and keys as an attacker would make them, with parts that no library lets a caller choose."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


@cache
def private(name: str) -> Any:
    """The private key of this name: "RSA", "RSA-1024", "RSA-other", "P-256", "P-256-other", "Ed25519", …"""
    kind, _, detail = name.partition("-")
    if kind == "RSA":
        return rsa.generate_private_key(65537, int(detail) if detail.isdigit() else 2048)
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(CURVES["-".join(name.split("-")[:2])])


def pem(name: str) -> str:
    key = private(name).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(name: str) -> str:
    return private(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def jwk(name: str, kid: str | None = None, *, secret: bool = False, **more: Any) -> dict[str, Any]:
    key = private(name) if secret else private(name).public_key()
    writer: Any = {"R": RSAAlgorithm, "E": OKPAlgorithm}.get(name[0], ECAlgorithm)
    return {**writer.to_jwk(key, as_dict=True), **({} if kid is None else {"kid": kid}), **more}


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def signed(claims: dict[str, Any], key: str, algorithm: str, **headers: Any) -> str:
    return jwt.encode(claims, private(key), algorithm=algorithm, headers=headers or None)


def segment(value: object) -> str:
    """One part of a token, in Base64: strings and bytes as they are, anything else as JSON."""
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes):
        value = json.dumps(value).encode()
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def hmac_signed(header: object, claims: object, secret: str | bytes, digest: Any = hashlib.sha256) -> str:
    """A token with any header and any claims, signed with this secret."""
    secret = secret.encode() if isinstance(secret, str) else secret
    signing_input = f"{segment(header)}.{segment(claims)}"
    return f"{signing_input}.{segment(hmac.digest(secret, signing_input.encode(), digest))}"

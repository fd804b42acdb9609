"""Tokens of the kit: of the form of a JSON Web Token, and signed by nobody. Pure."""

from __future__ import annotations

import base64
import json


def token(serial: int) -> str:
    """Return a token of the user alice. Each serial number has another one."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": "alice", "exp": 4_102_444_800, "jti": str(serial)})
    return ".".join([*(_encoded(json.dumps(part).encode()) for part in parts), _encoded(b"unsigned")])


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")

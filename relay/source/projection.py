"""A projection with which MongoDB cuts values before it sends them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Projection(dict[str, Any]):
    """The projection of a read. `uncut` is the one for documents of which the database cannot cut a value.

    That is so if a string is not valid UTF-8. Drivers store such strings without a complaint, but no expression of
    MongoDB that cuts a string accepts them, and then the whole read fails.
    """

    def __init__(self, fields: Mapping[str, Any], uncut: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.uncut = dict(uncut)

"""Names and values in the sentences of `relay check`. Pure.

Rule of this file: every name that comes from the database is bounded, and holds nothing that a terminal would obey.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from relay.cli.printable import visible

NAMES_SHOWN = 12  # of a list in one line; the rest is counted
NAME_CHARS = 60


def named(text: str) -> str:
    """Return one name, to be shown in a sentence."""
    return visible(text, NAME_CHARS)


def listed(names: Sequence[str], limit: int = NAMES_SHOWN) -> str:
    """Return the names with commas between them; beyond `limit`, only their number."""
    shown = ", ".join(map(named, names[:limit]))
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def quoted(value: Any) -> str:
    """Return the value as a literal of JavaScript: ASCII without control characters, whatever the value."""
    return json.dumps(value)


def database_in_shell(name: str) -> str:
    """Return the expression that stands for a database in mongosh."""
    return f"db.getSiblingDB({quoted(name)})"

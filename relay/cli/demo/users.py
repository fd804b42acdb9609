"""The users of the demo, with claims for the default visibility rules. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class User:
    """A user, the claims of their token, and one line about the tasks that they see."""

    name: str
    claims: Mapping[str, Any]
    sees: str


USERS = (
    User("alice", {"sub": "alice", "teams": ["red"]}, "the tasks she created, and all of team red"),
    User("bob", {"sub": "bob", "teams": ["blue"]}, "the tasks he created, and all of team blue"),
    User("carol", {"sub": "carol"}, "only the tasks she is a member of"),
    User("admin", {"sub": "admin", "roles": ["admin"]}, "everything"),
)

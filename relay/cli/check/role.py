"""The least role that the relay's user needs, as commands for mongosh. Pure."""

from __future__ import annotations

from relay.cli.check.text import database_in_shell, quoted


def least_role(database: str, collection: str) -> str:
    """Return what an administrator pastes into mongosh: a role with no more rights than the relay uses, and a user
    who has it."""
    role = {
        "role": "relay",
        "privileges": [
            {
                "resource": {"db": database, "collection": collection},
                "actions": ["find", "changeStream"],
            }
        ],
        "roles": [],
    }
    admin = database_in_shell("admin")
    return (
        f"{admin}.createRole({quoted(role)})\n"
        f'{admin}.createUser({{"user": "relay", "pwd": passwordPrompt(), "roles": ["relay"]}})'
    )

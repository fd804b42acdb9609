"""Write the settings into deploy/ and docker-compose.yml, from their declaration in relay/config.py."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from pydantic.fields import FieldInfo

from relay.config import Settings
from scripts.generated_settings import accepted, default, descriptions

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yml"

# What docker-compose.yml decides: the ports are those that nginx and the health check know, and the key is a secret.
FIXED_BY_COMPOSE = (
    *("RELAY_HOST", "RELAY_PORT", "RELAY_ADMIN_PORT", "RELAY_WORKER_PORTS"),
    *("RELAY_JWT_PUBLIC_KEY", "RELAY_JWKS_URL"),
)
# The settings in docker-compose.yml that Compose takes from its own environment, between two comments.
PASSED = re.compile(r"(\n    # settings: [^\n]*\n)(?:    \w+:\n)*(    # /settings\n)")
LINK = re.compile(r"\[[^\]]*\]\(\.\./(\w+/[\w.-]+)(?:#[\w-]*)?\)|\[([^\]]*)\]\([^)]*\)")

HEADER = """\
# Every setting of the relay, with its default. Remove the # before those that you change. Docker Compose reads this
# file as .env beside docker-compose.yml, systemd as /etc/relay/relay.env. In single quotes, $ and # have no meaning of
# their own: RELAY_JWT_SECRET='…'. A file with secrets is for its owner alone: chmod 600.
"""


def environment_file() -> str:
    """Return deploy/relay.env: each setting as a comment, below what it does."""
    described = descriptions(Settings)
    parts = [HEADER]
    for name, field in Settings.model_fields.items():
        text = _plain(described[name] + accepted(field))
        wrapped = textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)
        lines = [f"# {line}" for line in wrapped]
        parts.append("\n".join([*lines, f"#{name.upper()}={_written(field)}"]) + "\n")
    return "\n".join(parts)


def _plain(text: str) -> str:
    """Return Markdown without links: `[operating](../guides/operating.md)` is `docs/guides/operating.md`."""
    return LINK.sub(lambda found: f"docs/{found[1]}" if found[1] else found[2], text)


def _written(field: FieldInfo) -> str:
    return default(field).strip("`–")


def compose() -> str:
    """Return docker-compose.yml with a line for each setting that it does not set itself."""
    text = COMPOSE.read_text("utf-8")
    own = PASSED.sub("", text).split("\nx-one-of-many:")[0]
    names = [name.upper() for name in Settings.model_fields]
    passed = [name for name in names if name not in FIXED_BY_COMPOSE and f"\n    {name}: " not in own]
    assert PASSED.search(text), "docker-compose.yml has no place for the settings"
    return PASSED.sub(lambda found: found[1] + "".join(f"    {name}:\n" for name in passed) + found[2], text)


WHOLE = {
    COMPOSE: compose,
    ROOT / "deploy" / "relay.env": environment_file,
}

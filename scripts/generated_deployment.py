"""Write the settings into deploy/ and docker-compose.yml, from their declaration in relay/config.py."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from relay.config import SECRETS, Settings
from relay.secret_files import variable
from scripts.generated_settings import accepted, default, descriptions

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yml"
CHART = ROOT / "deploy" / "helm" / "relay"

# What docker-compose.yml decides: the ports are those that nginx and the health check know.
FIXED_BY_COMPOSE = ("RELAY_HOST", "RELAY_PORT", "RELAY_ADMIN_PORT", "RELAY_LISTEN", "RELAY_WORKER_PORTS")
# What the Helm chart sets: its Services and probes lead to these ports, without TLS, which its Ingress has. For the
# mapping it has a value.
FIXED_BY_CHART = (
    *("RELAY_PORT", "RELAY_ADMIN_PORT", "RELAY_LISTEN", "RELAY_WORKER_PORTS", "RELAY_MAPPING"),
    *("RELAY_TLS_CERT", "RELAY_TLS_KEY"),
)
# The settings in docker-compose.yml that Compose takes from its own environment, between two comments.
PASSED = re.compile(r"(\n    # settings: [^\n]*\n)(?:    \w+:\n)*(    # /settings\n)")
LINK = re.compile(r"\[[^\]]*\]\(\.\./(\w+/[\w.-]+)(?:#[\w-]*)?\)|\[([^\]]*)\]\([^)]*\)")

HEADER = """\
# Every setting of the relay, with its default. Remove the # before those that you change. Docker Compose reads this
# file as .env beside docker-compose.yml, systemd as /etc/relay/relay.env. In single quotes, $ and # have no meaning of
# their own: RELAY_JWT_SECRET='…'. A file with secrets is for its owner alone: chmod 600. A variable that ends in _FILE
# names a file that has the value. Compose fixes some settings itself and takes no others from here: RELAY_HOST,
# RELAY_PORT, RELAY_ADMIN_PORT, RELAY_LISTEN, RELAY_WORKER_PORTS.
"""


def environment_file() -> str:
    """Return deploy/relay.env: each setting as a comment, below what it does."""
    described = descriptions(Settings)
    parts = [HEADER]
    for name, field in Settings.model_fields.items():
        text = _plain(described[name] + accepted(field))
        wrapped = textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)
        lines = [f"# {line}" for line in wrapped]
        values = [f"#{name.upper()}={_written(field)}"]
        if name in SECRETS:
            values.append(f"#{variable(name)}=")
        parts.append("\n".join([*lines, *values]) + "\n")
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
    names = []
    for name in Settings.model_fields:
        names += [name.upper(), variable(name)] if name in SECRETS else [name.upper()]
    passed = [name for name in names if name not in FIXED_BY_COMPOSE and f"\n    {name}: " not in own]
    assert PASSED.search(text), "docker-compose.yml has no place for the settings"
    return PASSED.sub(lambda found: found[1] + "".join(f"    {name}:\n" for name in passed) + found[2], text)


def values_schema() -> str:
    """Return the JSON Schema of the values of the Helm chart. Helm refuses values that do not fit: a misspelt value, a
    misspelt setting, and a secret among the settings."""
    open_settings = [
        name.upper()
        for name in Settings.model_fields
        if name not in SECRETS and name.upper() not in FIXED_BY_CHART
    ]
    secrets = [name.upper() for name in Settings.model_fields if name in SECRETS]
    text, on, count = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 1}
    any_object, any_list = {"type": "object"}, {"type": "array", "items": {"type": "object"}}
    words = {"type": "object", "additionalProperties": text}
    ports = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65_535}}
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_object(
            image=_object(
                repository=text, tag=text, pullPolicy={"enum": ["Always", "IfNotPresent", "Never"]}
            ),
            imagePullSecrets=any_list,
            replicas=count,
            secret=_object(
                name=text | {"minLength": 1},
                files={"type": "array", "items": {"enum": secrets}, "uniqueItems": True},
            ),
            settings={
                "type": "object",
                "propertyNames": {"enum": open_settings},
                # The chart computes with it.
                "properties": {"RELAY_DRAIN_MS": {"type": "integer", "minimum": 0}},
                "additionalProperties": {"type": ["string", "integer", "boolean"]},
            },
            mapping=text,
            ingress=_object(enabled=on, className=text, host=text, tlsSecretName=text, annotations=words),
            networkPolicy=_object(enabled=on, clients=any_list, metrics=any_list, egressPorts=ports),
            podDisruptionBudget=_object(maxUnavailable={"type": ["integer", "string"]}),
            serviceMonitor=_object(enabled=on, interval=text, labels=words),
            resources=any_object,
            extraVolumes=any_list,
            extraVolumeMounts=any_list,
            podAnnotations=words,
            nodeSelector=words,
            tolerations=any_list,
            affinity=any_object,
        ),
    }
    # Values that charts share, which Helm adds.
    schema["properties"]["global"] = any_object
    return json.dumps(schema, indent=2) + "\n"


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


WHOLE = {
    COMPOSE: compose,
    ROOT / "deploy" / "relay.env": environment_file,
    CHART / "values.schema.json": values_schema,
}

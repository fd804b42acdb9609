"""docker-compose.yml as Docker Compose reads it, and the nginx of its profile `many` in front of relays of a test."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from relay.cli.demo import mongod as embedded
from support.doc_snippets import ROOT
from support.relay_fixture import SOON_S

FILE = ROOT / "docker-compose.yml"
NGINX = ROOT / "deploy" / "nginx.conf"
MANY = ("relay-1", "relay-2", "relay-3")  # the relays of the profile, also by these names in nginx.conf
PATHS = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:?[-?+])([^}]*))?\}")


def composed(**variables: str) -> dict[str, Any]:
    """Read docker-compose.yml and put in the variables. A line of an `environment` without a value takes the variable
    of its name, and is left out if there is none. Raises LookupError if one is missing that is required."""

    def value(found: re.Match[str]) -> str:
        name, kind, word = found.groups()
        given = variables.get(name, "")
        if (kind == "?" and name not in variables) or (kind == ":?" and not given):
            raise LookupError(name)
        if kind == ":+":
            return word if given else ""
        assert kind in (None, "?", ":?", ":-"), f"{kind} is not read here"
        return given or (word if kind == ":-" else "")

    def filled(part: Any) -> Any:
        match part:
            case dict():
                return {key: filled(inner) for key, inner in part.items()}
            case list():
                return [filled(inner) for inner in part]
            case str():
                return _VARIABLE.sub(value, part)
        return part

    read: dict[str, Any] = filled(yaml.safe_load(FILE.read_text("utf-8")))
    for service in read["services"].values():
        if "environment" in service:
            given = {
                name: variables.get(name) if one is None else one
                for name, one in service["environment"].items()
            }
            service["environment"] = {name: one for name, one in given.items() if one is not None}
    return read


def started_by(services: dict[str, Any], *profiles: str, only: str | None = None) -> set[str]:
    """Return the services that `docker compose up` starts with these profiles. With `only`, that service and what it
    depends on."""
    enabled = {
        name
        for name, service in services.items()
        if not service.get("profiles") or set(profiles) & set(service["profiles"])
    }
    if only is None:
        return enabled
    wanted, more = {only}, {only}
    while more:
        more = {needed for name in more for needed in services[name].get("depends_on", ())} - wanted
        wanted |= more
    assert wanted <= enabled, "Compose refuses a service that depends on a disabled one"
    return wanted


@asynccontextmanager
async def nginx(directory: Path, ports: Sequence[int]) -> AsyncIterator[str]:
    """Run nginx with the file and the command of the profile, in front of relays on these ports of this machine. Yield
    its address once it listens. Only addresses, ports and places of files differ from those in the containers."""
    if shutil.which("nginx", path=PATHS) is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx)")
    port = embedded.free_port()
    text = NGINX.read_text("utf-8")
    for name, relay in zip(MANY, ports, strict=True):
        assert text.count(f"{name}:8080") == 2
        text = text.replace(f"{name}:8080", f"127.0.0.1:{relay}")
    assert text.count("listen 8080;") == 1
    text = text.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    (directory / "nginx.conf").write_text(text)
    command = composed(RELAY_JWT_SECRET="-")["services"]["nginx"]["command"]
    places = {"/tmp": str(directory), "/etc/nginx/nginx.conf": str(directory / "nginx.conf")}
    command = [places.get(word, word) for word in command]
    if os.geteuid() == 0:  # its processes may then read this directory
        command = [word.replace("daemon off;", "daemon off; user root;") for word in command]
    process = await asyncio.create_subprocess_exec(*command, env={"PATH": PATHS}, stderr=subprocess.PIPE)
    said = asyncio.create_task(process.stderr.read())  # type: ignore[union-attr]
    try:
        async with asyncio.timeout(SOON_S):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                assert process.returncode is None, (await said).decode()
                await asyncio.sleep(0.02)
        writer.close()
        await writer.wait_closed()
        yield f"http://127.0.0.1:{port}"
        assert process.returncode is None, (await said).decode()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await said

"""Tests of docker-compose.yml, the Dockerfile and the lock files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from relay.config import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def services() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    return read


def test_mongodb_of_compose_is_an_initialised_replica_set(services: dict[str, Any]) -> None:
    mongo = services["mongo"]
    assert mongo["command"][:3] == ["mongod", "--replSet", "rs0"]
    check = mongo["healthcheck"]["test"][-1]
    assert "rs.initiate" in check
    assert "isWritablePrimary" in check
    assert services["relay"]["depends_on"]["mongo"]["condition"] == "service_healthy"
    assert services["relay"]["environment"]["RELAY_MONGO_URL"].endswith("?replicaSet=rs0")


def test_compose_has_no_default_key(services: dict[str, Any]) -> None:
    assert services["relay"]["environment"]["RELAY_JWT_SECRET"].startswith("${RELAY_JWT_SECRET:?")


def test_every_variable_of_compose_is_a_setting(services: dict[str, Any]) -> None:
    for name in services["relay"]["environment"]:
        assert name.lower() in Settings.model_fields


def test_ports_of_compose_are_open_to_this_machine_only(services: dict[str, Any]) -> None:
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_image_installs_by_hash_and_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    assert any("--require-hashes" in line for line in lines)
    assert "USER relay" in lines
    assert "HEALTHCHECK" in "".join(lines)
    for line in lines:
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source


class Health(BaseHTTPRequestHandler):
    """Answers /healthz with the status of its server."""

    def do_GET(self) -> None:
        self.send_response(self.server.status if self.path == "/healthz" else 404)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def healthy(status: int = 200) -> Iterator[str]:
    """Run a server that answers with this status; its port."""
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        server.status = status  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield str(server.server_port)
        server.shutdown()


def probed(default_port: str, **given: str) -> int:
    """Run the HEALTHCHECK of the image as Docker does; its exit code."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", "")
    (command,) = re.findall(r"^HEALTHCHECK .*? CMD +(.*)$", text, re.MULTILINE)
    command = command.replace("python ", f"{sys.executable} ").replace("8080", default_port)
    dead = "http://127.0.0.1:9"  # the discard port: nobody is there
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"), dead)
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"PATH": os.environ["PATH"]} | proxies | given,
        stderr=subprocess.DEVNULL,
    )
    return ended.returncode


@pytest.mark.parametrize("port", [None, "", "tcp://10.0.0.1:8080", "{port}", "{port}\n"])
def test_the_image_is_healthy_when_the_relay_answers_whatever_the_environment(port: str | None) -> None:
    with healthy() as listening:
        given = {} if port is None else {"RELAY_PORT": port.format(port=listening)}
        default = "9" if "{port}" in (port or "") else listening
        assert probed(default, **given) == 0


def test_the_image_is_not_healthy_when_the_relay_fails_or_is_away() -> None:
    with healthy(503) as listening:
        assert probed("9", RELAY_PORT=listening) != 0
    assert probed("9") != 0


def test_no_lock_file_names_an_index() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text("utf-8")
        assert "index-url" not in text
        assert "://" not in text
        assert text.count("--hash=sha256:") > 50

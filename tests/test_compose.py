"""docker-compose.yml and the Dockerfile: what an operator copies has to be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from relay.config import Settings

ROOT = Path(__file__).parent.parent


@pytest.fixture
def services() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    return read


def test_mongodb_is_an_initialised_replica_set(services: dict[str, Any]) -> None:
    mongo = services["mongo"]
    assert mongo["command"][:3] == ["mongod", "--replSet", "rs0"]
    check = mongo["healthcheck"]["test"][-1]
    assert "rs.initiate" in check
    assert "isWritablePrimary" in check
    assert services["relay"]["depends_on"]["mongo"]["condition"] == "service_healthy"
    assert services["relay"]["environment"]["RELAY_MONGO_URL"].endswith("?replicaSet=rs0")


def test_there_is_no_default_key(services: dict[str, Any]) -> None:
    assert services["relay"]["environment"]["RELAY_JWT_SECRET"].startswith("${RELAY_JWT_SECRET:?")


def test_every_variable_is_a_setting(services: dict[str, Any]) -> None:
    for name in services["relay"]["environment"]:
        assert name.lower() in Settings.model_fields


def test_ports_are_open_to_this_machine_only(services: dict[str, Any]) -> None:
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


def test_no_lock_file_names_an_index() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text("utf-8")
        assert "index-url" not in text
        assert "://" not in text
        assert text.count("--hash=sha256:") > 50

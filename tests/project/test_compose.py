"""Tests of docker-compose.yml, the Dockerfile and the lock files. tests/faults/test_behind_nginx.py runs it."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.certificates import Authority
from support.compose import FILE, MANY, NGINX, composed, started_by
from support.valkey import Valkey
from typer.main import get_command

from relay.cli.commands import cli
from relay.config import KEY_SETTINGS, SECRETS, Settings, load
from relay.pipeline import load_mapping
from relay.secret_files import variable
from relay.source.shared.redis_reach import LEAST_RIGHTS
from relay.tasks.mapping import Mapping
from relay.workers.slot import GRACE_S
from scripts.generated_deployment import FIXED_BY_COMPOSE

redis = pytest.importorskip("redis")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def services() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))["services"]
    return read


def test_mongodb_of_compose_is_an_initialised_replica_set(services: dict[str, Any]) -> None:
    mongo = services["mongo"]
    assert mongo["command"][:3] == ["mongod", "--replSet", "rs0"]
    check = mongo["healthcheck"]["test"][-1]
    assert "rs.initiate" in check
    assert "isWritablePrimary" in check
    assert services["relay"]["depends_on"]["mongo"]["condition"] == "service_healthy"
    assert services["relay"]["environment"]["RELAY_MONGO_URL"].endswith("?replicaSet=rs0}")


def test_compose_has_no_default_key(services: dict[str, Any]) -> None:
    assert services["relay"]["environment"]["RELAY_JWT_SECRET"].startswith("${RELAY_JWT_SECRET?")


@pytest.mark.parametrize("name", ["relay", *MANY])
def test_the_settings_and_the_command_of_each_relay_of_compose_are_ones_that_it_has(
    name: str, services: dict[str, Any]
) -> None:
    relay = services[name]
    assert relay["environment"].keys() <= {*map(str.upper, Settings.model_fields), *map(variable, SECRETS)}
    program, command, *arguments = relay.get("command", ["relay", "serve"])
    parsed = get_command(cli).commands[command].make_context(command, arguments)  # type: ignore[attr-defined]
    assert program == "relay"
    assert parsed.params["workers"] == ("2" if name in MANY else None)


def test_ports_of_compose_are_open_to_this_machine_only(services: dict[str, Any]) -> None:
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_compose_starts_one_relay_and_with_its_profile_three_behind_nginx(services: dict[str, Any]) -> None:
    header = FILE.read_text("utf-8").split("\n\nx-")[0]
    assert "$(openssl rand -hex 32) docker compose up\n" in header
    assert started_by(services) == {"mongo", "relay"}
    assert "\n#   docker compose --profile many up nginx\n" in header
    assert started_by(services, "many", only="nginx") == {"mongo", "valkey", "nginx", *MANY}
    assert [port for name in MANY for port in services[name].get("ports", ())] == []
    assert services["nginx"]["ports"] == services["relay"]["ports"] == ["127.0.0.1:8080:8080"]


def test_compose_demands_no_variable_of_the_profile_for_one_relay() -> None:
    """Compose puts in the variables of all services before it looks at profiles."""
    assert composed(RELAY_JWT_SECRET="-")
    with pytest.raises(LookupError, match="RELAY_JWT_SECRET"):
        composed()


def test_the_relays_of_the_profile_have_the_settings_of_the_single_one_and_a_shared_stream() -> None:
    services = composed(RELAY_JWT_SECRET="-", RELAY_REDIS_KEY="k", VALKEY_PASSWORD="p")["services"]
    shared = {
        "RELAY_REDIS_URL": "redis://relay:p@valkey:6379/0",
        "RELAY_REDIS_KEY": "k",
        "RELAY_TRUSTED_PROXIES": address_of(services["nginx"]),
    }
    for name in MANY:
        assert services[name]["environment"] == services["relay"]["environment"] | shared


def test_every_setting_reaches_the_relays_of_compose_from_the_environment(services: dict[str, Any]) -> None:
    for name in ("relay", *MANY):
        known = {*services[name]["environment"], *FIXED_BY_COMPOSE}
        assert known == {*map(str.upper, Settings.model_fields), *map(variable, SECRETS)}
    given = composed(RELAY_JWT_SECRET="-", RELAY_LOG_LEVEL="DEBUG")["services"]["relay"]["environment"]
    assert given["RELAY_LOG_LEVEL"] == "DEBUG"
    assert "RELAY_LOG_FORMAT" not in given
    assert given["RELAY_MONGO_URL"] == "mongodb://mongo:27017/?replicaSet=rs0"


@pytest.mark.parametrize(
    "key",
    [
        {"RELAY_JWT_SECRET": "s" * 32},
        {"RELAY_JWT_SECRET": "", "RELAY_JWKS_URL": "https://id.example.com/keys"},
        {"RELAY_JWT_SECRET": "", "RELAY_JWT_PUBLIC_KEY": "{pem}"},
    ],
    ids=lambda key: list(key)[-1],
)
def test_the_database_and_any_kind_of_key_come_from_the_environment_of_compose(
    key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = ed25519.Ed25519PrivateKey.generate().public_key()
    text = pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    given = {name: value.format(pem=text) for name, value in key.items()}
    mine = "mongodb://db.example.com/?replicaSet=live"
    for name in ("relay", *MANY):
        service = composed(RELAY_MONGO_URL=mine, RELAY_REDIS_KEY="k" * 64, **given)["services"][name]
        seen = service["environment"] | {"RELAY_MAPPING": "", "RELAY_REDIS_KEY": ""}
        for setting, value in seen.items():
            monkeypatch.setenv(setting, value)
        settings = load()
        assert settings.relay_mongo_url.get_secret_value() == mine
        (kind,) = (one for one in KEY_SETTINGS if getattr(settings, one))
        assert kind.upper() == list(key)[-1]


def test_settings_that_compose_fixes_are_named_where_its_settings_are_written() -> None:
    header = (ROOT / "deploy" / "relay.env").read_text("utf-8").partition("\n\n")[0]
    guide = (ROOT / "docs" / "guides" / "operating.md").read_text("utf-8")
    section = guide.partition("### Docker Compose")[2].partition("\n### ")[0]
    for name in FIXED_BY_COMPOSE:
        assert name in header
        assert f"`{name}`" in section


def test_the_mapping_of_compose_is_a_file_that_changes_nothing_or_the_one_that_is_named() -> None:
    for name in ("relay", *MANY):
        service = composed(RELAY_JWT_SECRET="-")["services"][name]
        (mount,) = service["volumes"]
        assert mount["target"] == service["environment"]["RELAY_MAPPING"]
        assert mount["read_only"]
        assert load_mapping(FILE.parent / mount["source"]) == Mapping()
    named = composed(RELAY_JWT_SECRET="-", RELAY_MAPPING="my.toml")["services"]["relay"]
    assert named["volumes"][0]["source"] == "my.toml"
    assert named["environment"]["RELAY_MAPPING"] == mount["target"]


def test_the_relays_of_compose_have_no_rights_and_write_nowhere_but_in_tmp(services: dict[str, Any]) -> None:
    for name in ("relay", *MANY):
        service = services[name]
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(mount["read_only"] for mount in service["volumes"])


def test_the_relays_of_compose_have_more_time_to_end_than_they_take(services: dict[str, Any]) -> None:
    for name in ("relay", *MANY):
        seconds = float(services[name]["stop_grace_period"].removesuffix("s"))
        assert seconds > Settings.model_fields["relay_drain_ms"].default / 1000 + GRACE_S


def address_of(service: dict[str, Any]) -> str:
    """The address of a service in the network in which nginx reaches the relays."""
    address: str = service["networks"]["front"]["ipv4_address"]
    return address


def test_the_names_addresses_and_ports_of_the_nginx_file_are_those_of_compose(
    services: dict[str, Any],
) -> None:
    text, nginx = NGINX.read_text("utf-8"), services["nginx"]
    for upstream in re.findall(r"upstream \w+ \{(.*?)\n    \}", text, re.DOTALL):
        assert re.findall(r"^ *server (\S+)", upstream, re.MULTILINE) == [f"{name}:8080" for name in MANY]
    assert Settings.model_fields["relay_port"].default == 8080
    assert re.findall(r"listen (\S+);", text) == ["8080"]
    assert nginx["extra_hosts"] == [f"{name}:{address_of(services[name])}" for name in MANY]
    assert nginx["volumes"] == [f"./{NGINX.relative_to(ROOT)}:/etc/nginx/nginx.conf:ro"]
    network = yaml.safe_load(FILE.read_text("utf-8"))["networks"]["front"]["ipam"]["config"][0]["subnet"]
    for name in ("nginx", *MANY):
        assert ipaddress.ip_address(address_of(services[name])) in ipaddress.ip_network(network)
        assert name == "nginx" or "default" in services[name]["networks"]  # where MongoDB and Valkey are


def test_the_valkey_of_compose_gives_the_relays_their_rights_and_nobody_else_any() -> None:
    password = "correct horse"
    with Valkey(arguments=valkey_of(VALKEY_PASSWORD=password)) as valkey:
        with redis.Redis.from_url(valkey.url) as stranger:
            assert stranger.ping()
            with pytest.raises(redis.exceptions.NoPermissionError):
                stranger.get("relay:v1:a")
        with redis.Redis.from_url(valkey.url_as("relay", password)) as relay:
            memory = relay.info("memory")
            assert relay.info("persistence")["aof_enabled"] == 0
            assert relay.get("relay:v1:a") is None
            with pytest.raises(redis.exceptions.NoPermissionError):
                relay.get("other")
    assert memory["maxmemory"] >= 2 * Settings.model_fields["relay_redis_max_bytes"].default
    assert memory["maxmemory_policy"] == "noeviction"
    command = " ".join(valkey_of(VALKEY_PASSWORD=password))
    assert command.endswith(f"--user relay on >{password} {LEAST_RIGHTS}")


def test_nobody_logs_in_to_the_valkey_of_compose_without_a_password() -> None:
    with Valkey(arguments=valkey_of()) as valkey:
        for password in ("", "resetpass"):
            with (
                redis.Redis.from_url(valkey.url, username="relay", password=password) as relay,
                pytest.raises(redis.exceptions.AuthenticationError),
            ):
                relay.ping()


def valkey_of(**variables: str) -> list[str]:
    """The arguments of the Valkey of compose."""
    program, *arguments = composed(RELAY_JWT_SECRET="-", **variables)["services"]["valkey"]["command"]
    assert program == "valkey-server"
    return arguments


def test_the_image_has_what_a_shared_stream_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = (ROOT / "requirements" / "runtime.txt").read_text("utf-8")
    for needed in project["optional-dependencies"]["redis"]:
        assert re.search(rf"^{needed.partition('>')[0]}==", locked, re.MULTILINE), needed


def test_the_image_installs_by_hash_and_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    assert any("--require-hashes" in line for line in lines)
    (user,) = (line.split()[1] for line in lines if line.startswith("USER"))
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "Kubernetes cannot know of a name that it is not root"
    assert f"useradd --uid {user.partition(':')[0]} " in "".join(lines)
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
def healthy(status: int = 200, certificate: Path | None = None) -> Iterator[str]:
    """Run a server that answers with this status, with TLS if there is a certificate; its port."""
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.status = status  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield str(server.server_port)
        server.shutdown()


def probed(default_port: str, **given: str) -> int:
    """Run the HEALTHCHECK of the image as Docker does; its exit code."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", "")
    (command,) = re.findall(r"^HEALTHCHECK .*? CMD +(.*)$", text, re.MULTILINE)
    command = command.replace("python ", f"{sys.executable} ").replace("8080", default_port)
    command = command.replace("timeout=2", "timeout=30")  # on a busy machine
    dead = "http://127.0.0.1:9"  # the discard port: nobody is there
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"), dead)
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"PATH": os.environ["PATH"]} | proxies | given,
        stderr=subprocess.DEVNULL,
    )
    return ended.returncode


def test_the_image_asks_a_relay_that_serves_tls_over_tls(tmp_path: Path) -> None:
    certificate = Authority(tmp_path).issue("relay")
    with healthy(certificate=certificate) as listening:
        assert probed("9", RELAY_PORT=listening, RELAY_TLS_CERT=str(certificate)) == 0


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

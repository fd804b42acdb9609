"""`relay config`: what is in force, where it comes from, and that it shows no secret."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st
from pydantic import SecretStr
from support.command_process import run
from support.relay_fixture import SECRET
from support.token_forgery import pem, private_pem

from relay.cli import shown_settings
from relay.config import Settings, load
from relay.errors import StartupError
from relay.source.client import KEPT, Address
from relay.source.credentials import without_secrets

URL = "mongodb://bob:hunter2@a,b/x?replicaSet=rs0&tlsCertificateKeyFilePassword=hunter2&timeoutMS=5"
GOOD = {"RELAY_MONGO_URL": URL, "RELAY_JWT_SECRET": "hunter2" * 5}


def config(*, code: int = 0, **given: str) -> dict[str, Any]:
    """Run the command with `--json`; it must end with this exit code. Return what it printed."""
    ended = run("config", "--json", **given)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert "hunter2" not in ended.stdout + ended.stderr
    shown: dict[str, Any] = json.loads(ended.stdout)
    assert [f"relay: {sentence}" for sentence in shown["problems"]] == [
        line for line in ended.stderr.splitlines() if "ignored" not in line and "not read" not in line
    ]
    return shown


def test_each_value_is_shown_with_its_source_and_no_secret(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        "list_order = 'createdAt'\n[fields]\ntitle = 'subject'\n[redact]\npatterns = ['hunter2']\n[statuses]\n"
        "failed = 'broken'\n[[visibility.rules]]\nname = 'a'\nfield = ['x', 'y']\nclaim = 'sub'\n"
    )
    given = GOOD | {
        "RELAY_MAPPING": str(mapping),
        "RELAY_ALLOWED_ORIGINS": "https://App.example.com:443,http://b.example.com",
        "RELAY_REDIS_URL": "rediss://u:hunter2@redis/0?ssl_password=hunter2",
        "RELAY_REDIS_KEY": "ab" * 32,
        "FEATURE_WEBSOCKET_ENABLED": "false",
        "RELAY_PUBLIC_URL": "\n",
    }
    shown = config(**given)
    settings = {name: (one["value"], one["source"]) for name, one in shown["settings"].items()}
    assert settings.keys() == {name.upper() for name in Settings.model_fields}
    assert {name for name, (_, source) in settings.items() if source == "environment"} == {
        *(name for name in given if name != "RELAY_PUBLIC_URL")
    }
    masked = "mongodb://bob:***@a,b/x?replicaSet=rs0&tlsCertificateKeyFilePassword=***"
    assert settings["RELAY_MONGO_URL"][0] == masked
    assert settings["RELAY_REDIS_URL"][0] == "rediss://u:***@redis/0?ssl_password=***"
    assert settings["RELAY_JWT_SECRET"][0] == settings["RELAY_REDIS_KEY"][0] == "***"
    assert settings["RELAY_ALLOWED_ORIGINS"][0] == ["https://app.example.com", "http://b.example.com"]
    assert settings["RELAY_PUBLIC_URL"] == (None, "default")
    assert settings["RELAY_PORT"] == (8080, "default")
    keys = {name: (one["value"], one["source"]) for name, one in shown["mapping"].items()}
    assert {name for name, (_, source) in keys.items() if source == "file"} == {
        *("list_order", "fields.title", "redact.patterns", "statuses.failed", "visibility.rules")
    }
    assert keys["fields.title"][0] == ["subject"]
    assert keys["visibility.rules"][0] == [{"name": "a", "field": ["x", "y"], "claim": "sub"}]
    assert keys["redact.patterns"][0] == ["***"]


def test_people_are_shown_a_line_for_each_value() -> None:
    shown = run("config", RELAY_FEE="hunter2", **GOOD)
    assert (shown.returncode, "hunter2" in shown.stdout + shown.stderr) == (0, False)
    lines = shown.stdout.splitlines()
    assert lines[0] == "relay config: 2 settings from the environment, 0 keys of the mapping from its file"
    assert all(line.split()[0] in ("default", "environment") for line in lines[2:])
    assert any(line.split() == ["default", "RELAY_PUBLIC_URL", "(not", "set)"] for line in lines)
    assert any(line.split() == ["default", "FEATURE_WEBSOCKET_ENABLED", "true"] for line in lines)
    assert "RELAY_FEE is not a setting" in shown.stderr
    assert "timeoutMS is the relay's own business" in shown.stderr


def test_secrets_of_files_are_shown_with_their_source_and_hidden(tmp_path: Path) -> None:
    files = {}
    for name, value in GOOD.items():
        path = tmp_path / name
        path.write_text(f"{value}\n")
        files[f"{name}_FILE"] = str(path)
    settings = config(**files)["settings"]
    assert settings["RELAY_JWT_SECRET"] == {"value": "***", "source": "file"}
    assert settings["RELAY_MONGO_URL"]["source"] == "file"
    assert settings["RELAY_MONGO_URL"]["value"].startswith("mongodb://bob:***@a,b/")
    head, *lines = run("config", **files).stdout.splitlines()
    assert head.startswith("relay config: 0 settings from the environment, 2 from files, 0 keys")
    assert [line.split()[1] for line in lines if line.startswith("file ")] == [*GOOD]


@pytest.mark.parametrize(
    "wrong",
    [
        {"RELAY_PORT": "eighty"},
        {"RELAY_MONGO_URL": ""},
        {"RELAY_MONGO_URL": "mongodb://u:hun@ter2hunter2@h/"},
        {"RELAY_MONGO_URL": "mongodb://hunter2:hunter2"},
        {"RELAY_MONGO_URL": "mongodb://u:hun/hunter2@h/"},
        {"RELAY_MONGO_DATABASE": "a/b"},
        {"RELAY_MAPPING": "/nowhere.toml"},
        {"RELAY_JWT_SECRET": ""},
        {"RELAY_JWT_SECRET": "", "RELAY_JWT_PUBLIC_KEY": "/nowhere.pem"},
        {"RELAY_REDIS_URL": "redis://u:hunter2@h:hunter2/"},
        {"RELAY_REDIS_URL": "redis://u:hunter2@h/"},
        {"RELAY_JWKS_URL": "https://u:hunter2@id.example.com/"},
        {"RELAY_JWT_SECRET_FILE": "/nowhere"},
        {"RELAY_TLS_CERT": "/nowhere.pem"},
        {"RELAY_TLS_CERT": "/etc/hostname", "RELAY_TLS_KEY_PASSWORD": "hunter2"},
        {"RELAY_JWT_SECRET": "", "RELAY_JWT_SECRET_FILE": "/nowhere"},
    ],
    ids=str,
)
def test_a_wrong_setting_has_the_sentence_of_serve(wrong: dict[str, str]) -> None:
    shown, served = (
        run("config", "--json", **GOOD | wrong),
        run("serve", **GOOD | {"RELAY_PORT": "0"} | wrong),
    )
    assert shown.returncode == served.returncode == 3
    answer = json.loads(shown.stdout)
    assert answer.keys() == {"settings", "mapping", "problems"}
    said = [line for line in shown.stderr.splitlines() if "ignored" not in line]
    refused = [line for line in served.stderr.splitlines() if line.startswith("relay: ")]
    assert said[0] == refused[0] == f"relay: {answer['problems'][0]}"
    assert "hunter2" not in shown.stdout + shown.stderr


def test_a_public_key_is_shown_by_its_path_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.pem"
    path.write_text(pem("RSA"))
    for given, shown in (
        (str(path), str(path)),
        (f"{path}\n{path}", f"{path} {path}"),
        (f"{path} hunter2", "***"),
        (pem("RSA"), "***"),
        (private_pem("RSA"), "***"),
        ("a/b", "***"),
    ):
        monkeypatch.setenv("RELAY_JWT_PUBLIC_KEY", given)
        assert dict_of(load())["RELAY_JWT_PUBLIC_KEY"] == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://id.example.com", "https://id.example.com"),
        ("https://id.example.com:8443/", "https://id.example.com:8443"),
        ("https://id.example.com/hunter2/keys", "https://id.example.com/***"),
        ("https://id.example.com?token=hunter2", "https://id.example.com/***"),
        ("http://[::1]:8080/#hunter2", "http://[::1]:8080/***"),
        ("https://id.example.com;hunter2", "***"),
    ],
)
def test_of_a_key_servers_address_only_the_host_is_shown(given: str, shown: str) -> None:
    assert dict_of(load(relay_jwks_url=given))["RELAY_JWKS_URL"] == shown


AROUND = st.text(st.sampled_from("ab:@/?#%[]&=;,.\\\t "))


@given_any(AROUND, AROUND)
def test_no_token_in_a_key_servers_address_is_shown(before: str, after: str) -> None:
    for start in ("/", "?", "#", ";", ":", "\\", "%2F"):
        with suppress(StartupError):
            settings = load(relay_jwks_url=f"https://id.example.com{start}{before}hunter2{after}")
            assert "hunter2" not in str(dict_of(settings)["RELAY_JWKS_URL"])


@st.composite
def spelt(draw: st.DrawFn, *names: str) -> str:
    """One of these names, with any of its characters in the other case or percent-encoded."""
    ways = (str, str, str.swapcase, lambda one: f"%{ord(one):02x}", lambda one: f"%{ord(one):02X}")
    return "".join(draw(st.sampled_from(ways))(one) for one in draw(st.sampled_from(names)))


@given_any(spelt("ssl_password"), st.sampled_from(["&", ";", "&&", "%26"]), st.booleans())
def test_no_secret_option_of_redis_is_shown_however_it_is_spelt(name: str, between: str, first: bool) -> None:
    options = [f"{name}=hunter2", "ssl_check_hostname=true"]
    url = f"rediss://h/hunter2?db=0&{between.join(options if first else reversed(options))}"
    settings = load(relay_redis_url=url, relay_redis_encryption="off", relay_mongo_url="mongodb://h/")
    assert "hunter2" not in str(dict_of(settings)["RELAY_REDIS_URL"])


@given_any(
    spelt("tlsCertificateKeyFilePassword", "authMechanismProperties", "proxyPassword", "password"),
    st.sampled_from(["&", ";", "&&", "%26"]),
    st.booleans(),
)
def test_no_secret_option_of_mongodb_is_shown_however_it_is_spelt(
    name: str, between: str, first: bool
) -> None:
    value = "AWS_SESSION_TOKEN:hunter2" if "properties" in unquote(name).lower() else "hunter2"
    options = [f"{name}={value}", "tls=true"]
    url = f"mongodb://h/?authMechanism=MONGODB-AWS&{between.join(options if first else reversed(options))}"
    settings = load(relay_mongo_url=SecretStr(url))
    assert "hunter2" not in str(dict_of(settings)["RELAY_MONGO_URL"])


@pytest.mark.parametrize("option", KEPT)
def test_every_option_of_mongodb_is_known_to_be_shown_or_to_be_secret(option: str) -> None:
    address = Address("mongodb", "h", {option: "x"}, (), 0)
    secret = option in ("authMechanismProperties", "tlsCertificateKeyFilePassword", "readPreferenceTags")
    assert without_secrets(address) == f"mongodb://h/?{option}={'***' if secret else 'x'}"


@given_any(st.text(st.sampled_from("abc:@/?#%[]&=;,.")), st.text(st.sampled_from("xy:@/?#%&=")))
def test_no_password_is_shown_whatever_it_has_in_it(before: str, after: str) -> None:
    url = f"mongodb://bob:{before}hunter2{after}@host/?replicaSet=rs0"
    shown = dict_of(load(relay_mongo_url=SecretStr(url), relay_jwt_secret=SecretStr(SECRET)))
    assert "hunter2" not in str(shown["RELAY_MONGO_URL"])


def dict_of(settings: Settings) -> dict[str, Any]:
    return {entry.name: entry.value for entry in shown_settings.settings_in_force(settings)}


def test_a_value_of_the_settings_file_has_the_source_file_unless_the_environment_has_one(
    tmp_path: Path,
) -> None:
    file = tmp_path / "relay.env"
    file.write_text("RELAY_HEARTBEAT_MS=1000\nRELAY_DRAIN_MS=1\nRELAY_DRAIN=hunter2\n")
    given = GOOD | {"RELAY_SETTINGS_FILE": str(file), "RELAY_DRAIN_MS": "2"}
    shown = config(**given)["settings"]
    assert shown["RELAY_HEARTBEAT_MS"] == {"value": 1000, "source": "file"}
    assert shown["RELAY_DRAIN_MS"] == {"value": 2, "source": "environment"}
    lines = run("config", **given)
    assert "4 settings from the environment, 1 from files, " in lines.stdout
    assert "RELAY_DRAIN in the settings file is not a setting of the relay" in lines.stderr

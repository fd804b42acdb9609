"""`relay config`: what is in force, where it comes from, and that it shows no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st
from pydantic import SecretStr
from support.command_process import run
from support.relay_fixture import SECRET
from support.token_forgery import pem, private_pem

from relay.cli import shown_settings
from relay.config import Settings, load

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
    ],
    ids=str,
)
def test_a_wrong_setting_has_the_sentence_of_serve(wrong: dict[str, str]) -> None:
    shown, served = run("config", **GOOD | wrong), run("serve", **GOOD | {"RELAY_PORT": "0"} | wrong)
    assert shown.returncode == served.returncode == 3
    said = [line for line in shown.stderr.splitlines() if "ignored" not in line]
    refused = [line for line in served.stderr.splitlines() if line.startswith("relay: ")]
    assert said[0] == refused[0]
    assert "hunter2" not in shown.stdout + shown.stderr


def test_a_public_key_is_shown_by_its_path_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.pem"
    path.write_text(pem("RSA"))
    for given, shown in (
        (str(path), str(path)),
        (pem("RSA"), "***"),
        (private_pem("RSA"), "***"),
        ("a/b", "***"),
    ):
        monkeypatch.setenv("RELAY_JWT_PUBLIC_KEY", given)
        assert dict_of(load())["RELAY_JWT_PUBLIC_KEY"] == shown


def test_the_query_of_a_key_servers_address_is_hidden() -> None:
    settings = load(relay_jwks_url="https://id.example.com/keys?token=hunter2")
    assert dict_of(settings)["RELAY_JWKS_URL"] == "https://id.example.com/keys?***"


@given_any(st.text(st.sampled_from("abc:@/?#%[]&=;,.")), st.text(st.sampled_from("xy:@/?#%&=")))
def test_no_password_is_shown_whatever_it_has_in_it(before: str, after: str) -> None:
    url = f"mongodb://bob:{before}hunter2{after}@host/?replicaSet=rs0"
    shown = dict_of(load(relay_mongo_url=SecretStr(url), relay_jwt_secret=SecretStr(SECRET)))
    assert "hunter2" not in str(shown["RELAY_MONGO_URL"])


def dict_of(settings: Settings) -> dict[str, Any]:
    return {entry.name: entry.value for entry in shown_settings.settings_in_force(settings)}

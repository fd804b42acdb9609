"""The settings of the parent reach its children as they are, whatever the environment of a child contains."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.token_forgery import pem

from relay.config import Settings, load
from relay.workers.assignment import plain, restored

SECRET = " a secret with spaces, long enough for HS256 "

GIVEN: list[dict[str, Any]] = [
    {},
    {
        "relay_mongo_url": "mongodb://user:p%40ss@host/?replicaSet=rs0",
        "relay_jwt_secret": SECRET,
        "relay_mapping": "mapping.toml",
        "relay_host": "[::1]",
        "relay_port": "0",
        "relay_admin_port": "9090",
        "relay_public_url": "https://Bücher.example/live/",
        "relay_workers": "3",
        "relay_worker_ports": "unix:/run/relay",
        "relay_allowed_origins": "https://a.example.com,https://b.example.com",
        "relay_token_url": "https://bücher.example/live-token",
        "relay_trusted_proxies": "10.0.0.0/8,unix:",
        "feature_websocket_enabled": "false",
        "feature_websocket_users": "ada, ben",
        "relay_log_format": "json",
    },
    {
        "relay_jwt_public_key": pem("RSA"),
        "relay_jwt_algorithms": "RS256,PS256",
        "relay_jwt_issuer": "https://id",
    },
    {"relay_jwks_url": "https://id.example.com/jwks", "relay_worker_ports": "9001"},
]


@pytest.mark.parametrize("given", GIVEN)
def test_the_settings_are_restored_from_what_is_sent(monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    settings = load(**given)
    sent = json.dumps(plain(settings))
    # The environment of a child has other values, which the parent's command line has replaced.
    monkeypatch.setenv("RELAY_JWT_SECRET", SECRET * 2)
    monkeypatch.setenv("RELAY_PORT", "1")
    monkeypatch.setenv("RELAY_ADMIN_PORT", "2")
    monkeypatch.setenv("RELAY_MAPPING", "other.toml")
    monkeypatch.setenv("RELAY_PUBLIC_URL", "https://other.example")
    monkeypatch.setenv("RELAY_WORKERS", "auto")
    monkeypatch.setenv("RELAY_ALLOWED_ORIGINS", "https://other.example")
    assert restored(json.loads(sent)) == settings

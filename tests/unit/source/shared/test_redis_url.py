"""`RELAY_REDIS_URL` and `RELAY_REDIS_KEY`: what is accepted, the sentences for what is not, and no secret in them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority

from relay.config import load
from relay.errors import StartupError
from relay.pipeline import bus_of
from relay.source.shared.redis_url import client_of, keys_of, place_of

PASSWORD = "hunter2"
KEY = bytes(range(32))


def options_of(url: str) -> dict[str, Any]:
    """Return the options that the client connects with."""
    found: dict[str, Any] = client_of(load(relay_redis_url=url)).connection_pool.connection_kwargs
    return found


def test_the_parts_of_a_url_take_effect() -> None:
    options = options_of(f"redis://relay:{PASSWORD}%2F%40@redis.example.com:7000/3")
    expected = {"host": "redis.example.com", "port": 7000, "db": 3}
    expected |= {"username": "relay", "password": f"{PASSWORD}/@"}
    assert expected.items() <= options.items()
    assert options_of(f"redis://:{PASSWORD}@redis.example.com")["password"] == PASSWORD
    assert options_of("unix:///run/redis.sock?db=2").items() >= {"path": "/run/redis.sock", "db": 2}.items()


def test_certificates_are_checked_unless_the_url_says_otherwise(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("own")
    options = options_of(f"rediss://redis.example.com?ssl_ca_certs={authority.file}&ssl_certfile={own}")
    assert options["ssl_ca_certs"] == str(authority.file)
    assert options["ssl_certfile"] == str(own)
    assert options_of("rediss://redis.example.com?ssl_cert_reqs=none")["ssl_cert_reqs"] == "none"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://{}@redis.example.com", "it begins with redis://"),
        ("{}", "it begins with redis://"),
        ("redis://", "such as redis://"),
        ("redis://user:{}/x@redis.example.com", "is written as %2F"),
        ("redis://user:{}#x@redis.example.com", "is written as %2F"),
        ("redis://redis.example.com:port/{}", "its port is not a number"),
        ("redis://redis.example.com:0", "such as redis://"),
        ("redis://{}@redis.example.com", "a user without a password"),
        ("redis://redis.example.com/{}", "the database of Redis is a number"),
        ("redis://redis.example.com?db={}", "the database of Redis is a number"),
        ("redis://redis.example.com?password={}", "has an unknown option"),
        ("redis://redis.example.com?decode_responses=1", "has an unknown option"),
        ("redis://redis.example.com?ssl_ca_certs=x", "begins with rediss://"),
        ("rediss://redis.example.com?ssl_ca_certs=/{}", "cannot be read"),
        ("rediss://redis.example.com?ssl_keyfile=/{}", "ssl_keyfile needs ssl_certfile"),
        ("rediss://redis.example.com?ssl_cert_reqs={}", "ssl_cert_reqs is required or none"),
        (f"rediss://redis.example.com?ssl_certfile={__file__}", "All are PEM"),
        (f"rediss://redis.example.com?ssl_ca_certs={__file__}", "All are PEM"),
    ],
)
def test_a_url_that_cannot_be_used_ends_the_start_with_a_sentence_that_shows_no_part_of_it(
    url: str, sentence: str
) -> None:
    with pytest.raises(StartupError) as raised:
        client_of(load(relay_redis_url=url.format(PASSWORD)))
    assert sentence in str(raised.value)
    assert str(raised.value).startswith("RELAY_REDIS_URL")
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (f"redis://relay:{PASSWORD}@redis.example.com", "redis.example.com:6379"),
        (f"rediss://relay:{PASSWORD}@10.0.0.1:7000/1", "10.0.0.1:7000"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_the_log_names_the_place_and_no_user(url: str, place: str) -> None:
    assert place_of(load(relay_redis_url=url)) == place


def test_keys_are_base64_or_hexadecimal_and_the_first_encrypts() -> None:
    text = f"{base64.b64encode(KEY).decode()}, {bytes(32).hex()}"
    assert keys_of(load(relay_redis_key=text)) == [KEY, bytes(32)]
    assert keys_of(load(relay_redis_key="nonsense", relay_redis_encryption="off")) == []


@pytest.mark.parametrize("text", ["", ",", PASSWORD, "00" * 31, f"{'00' * 32},{PASSWORD}", "é" * 32])
def test_a_missing_or_wrong_key_ends_the_start_with_a_sentence_that_says_how_to_make_one(text: str) -> None:
    with pytest.raises(StartupError, match="openssl rand -base64 32") as raised:
        bus_of(load(relay_redis_url="redis://localhost", relay_redis_key=text))
    assert PASSWORD not in str(raised.value)


def test_without_a_url_nothing_is_shared() -> None:
    assert bus_of(load()) is None

"""What `relay serve` and `relay check` say about the configured Redis: each in one sentence, and no password in it."""

from __future__ import annotations

import json
import secrets
import socket
from pathlib import Path

import pytest
from support.certificates import Authority
from support.command_process import run, started
from support.relay_fixture import SECRET
from support.valkey import Valkey

pytest.importorskip("redis")

from relay.source.shared.redis_reach import LEAST_RIGHTS

PASSWORD = "hunter2"


@pytest.fixture
def given(mongo_url: str, database_name: str) -> dict[str, str]:
    """Settings of a relay, except for the URL of Redis."""
    return {
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database_name,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": "0",
        "RELAY_REDIS_KEY": secrets.token_hex(32),
    }


def refused(given: dict[str, str], url: str) -> str:
    """Return the sentence with which `serve` ends, which `check` says as well."""
    given = given | {"RELAY_REDIS_URL": url}
    served, checked = run("serve", **given), run("check", "--json", **given)
    assert served.returncode == 3
    assert PASSWORD not in served.stderr + served.stdout + checked.stderr + checked.stdout
    [*_, sentence] = served.stderr.splitlines()
    if checked.returncode == 1:
        found = [found for found in json.loads(checked.stdout)["findings"] if found["name"] == "redis"]
        assert [one["mark"] for one in found] == ["problem"]
        assert f"{found[0]['text']}: {found[0]['remedy']}".lower() in sentence.lower()
    else:
        assert (checked.returncode, checked.stderr) == (3, served.stderr)
    return sentence


def test_a_wrong_url_or_a_missing_key_ends_the_start(given: dict[str, str]) -> None:
    assert "it begins with redis://" in refused(given, f"http://{PASSWORD}@127.0.0.1")
    assert "RELAY_REDIS_KEY is not set" in refused(given | {"RELAY_REDIS_KEY": ""}, "redis://127.0.0.1")


def test_a_wrong_password_or_too_few_rights_end_the_start(given: dict[str, str]) -> None:
    users = ["user default off", f"user relay on >{PASSWORD} ~relay:v1:* +get +eval +ping +info +xread"]
    with Valkey(acl=users) as valkey:
        said = "Redis does not accept the user or the password of RELAY_REDIS_URL, or wants one"
        assert said in refused(given, valkey.url)
        assert said in refused(given, valkey.url_as("relay", f"not {PASSWORD}"))
        assert f"give it {LEAST_RIGHTS}" in refused(given, valkey.url_as("relay", PASSWORD))


def test_the_least_rights_suffice(given: dict[str, str]) -> None:
    with Valkey(acl=["user default off", f"user relay on >{PASSWORD} {LEAST_RIGHTS}"]) as valkey:
        # A database of Redis other than the first one has to be selected.
        url = f"{valkey.url_as('relay', PASSWORD)}/3"
        checked = run("check", "--json", **given, RELAY_REDIS_URL=url)
        assert checked.returncode == 0, checked.stdout
        [found] = [found for found in json.loads(checked.stdout)["findings"] if found["name"] == "redis"]
        assert found["mark"] == "ok"
        assert found["text"].startswith("Valkey ")
        with started("serve", until="this relay leads", **given, RELAY_REDIS_URL=url) as (_, said):
            assert PASSWORD not in said
            assert "WARNING the shared" not in said


def test_tls_that_fails_ends_the_start(given: dict[str, str], tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    with Valkey(certificate=authority.issue("valkey")) as valkey:
        assert "is not trusted" in refused(given, valkey.url)
        assert "is not trusted" in refused(given, f"{valkey.url}?ssl_ca_certs={stranger.file}")
        assert "Redis wants TLS" in refused(given, valkey.url.replace("rediss://", "redis://"))
    with Valkey(certificate=authority.issue("valkey"), client_authority=authority.file) as valkey:
        assert "TLS with Redis fails" in refused(given, f"{valkey.url}?ssl_ca_certs={authority.file}")
    with Valkey() as valkey:
        url = valkey.url.replace("redis://", "rediss://")
        assert "Redis has no TLS" in refused(given, f"{url}?ssl_ca_certs={authority.file}")


def test_something_other_than_a_redis_ends_the_start(given: dict[str, str], mongo_url: str) -> None:
    with Valkey() as valkey, started("serve", until="listening on", **given) as (_, printed):
        port = printed.rpartition(":")[2].split()[0]
        assert "is not a Redis" in refused(given, f"redis://127.0.0.1:{port}")
        assert "no database with this number" in refused(given, f"{valkey.url}/99")


def test_a_redis_that_is_away_is_no_reason_not_to_start(given: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        url = f"redis://relay:{PASSWORD}@127.0.0.1:{taken.getsockname()[1]}"
        with started("serve", until="listening on", **given, RELAY_REDIS_URL=url) as (process, said):
            for phrase in ("following the database directly", "cannot lead the shared change stream"):
                if phrase not in said:
                    said += process.printed(phrase)
            process.terminate()
            said += process.printed()
        checked = run("check", "--json", **given, RELAY_REDIS_URL=url)

    assert said.count("Redis cannot be reached; this relay starts alone") == 1
    assert said.count("the shared change stream is lost; following the database directly") == 1
    assert PASSWORD not in said
    assert checked.returncode == 0
    [found] = [found for found in json.loads(checked.stdout)["findings"] if found["name"] == "redis"]
    assert found["mark"] == "warning"


@pytest.mark.parametrize(
    ("maxmemory", "settings", "words"),
    [
        ("100mb", {}, "its memory is limited to 100 MiB"),
        (None, {"RELAY_REDIS_ENCRYPTION": "off"}, "changes are not encrypted"),
    ],
)
def test_the_check_warns_of_little_memory_and_of_changes_in_plain_text(
    given: dict[str, str], maxmemory: str | None, settings: dict[str, str], words: str
) -> None:
    with Valkey(maxmemory=maxmemory) as valkey:
        checked = run("check", "--json", **given, **settings, RELAY_REDIS_URL=valkey.url)
    assert checked.returncode == 0
    found = [found for found in json.loads(checked.stdout)["findings"] if found["name"] == "redis"]
    assert [one["mark"] for one in found] == ["ok", "warning"]
    assert words in found[1]["text"]

"""What `relay serve` and `relay check` say about the configured Redis: each in one sentence, and no password in it."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.relay_fixture import SOON_S, running
from support.valkey import Valkey

from relay.cli.check.report import Finding, Report, to_json
from relay.cli.check.run import examine
from relay.config import Settings
from relay.errors import StartupError

pytest.importorskip("redis")

from relay.source.shared.redis_reach import LEAST_RIGHTS

PASSWORD = "hunter2"

With = Callable[..., Settings]


@pytest.fixture
def shared(with_: With, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[With]:
    """Make the settings of a relay for a URL of Redis. Nothing that the relay logs may contain the password. A relay
    waits longer than usual for the answers of Redis, which a busy machine delays."""
    for limit in ("redis_url.CONNECT_S", "redis_url.ANSWER_S", "redis_reach.CONNECT_S"):
        monkeypatch.setattr(f"relay.source.shared.{limit}", SOON_S)
    caplog.set_level("DEBUG", "relay")
    key = secrets.token_hex(32)
    yield lambda url, **given: with_(**{"relay_redis_key": key, "relay_redis_url": url} | given)
    for record in caplog.get_records("call"):
        assert PASSWORD not in repr(vars(record)) + record.getMessage()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[..., Any]:
    """A function that waits until all these phrases were logged."""

    async def logged(*phrases: str) -> None:
        async with asyncio.timeout(SOON_S):
            while not all(phrase in caplog.text for phrase in phrases):
                await asyncio.sleep(0.01)

    return logged


def about_redis(report: Report) -> list[Finding]:
    assert PASSWORD not in to_json(report)
    return [found for found in report.findings if found.name == "redis"]


async def refused(shared: With, url: str, **given: Any) -> str:
    """Return the sentence with which `serve` ends, which `check` says as well."""
    settings = shared(url, **given)
    with pytest.raises(StartupError) as ended:
        async with running(settings):
            pass
    sentence = str(ended.value)
    try:
        report = await examine(settings, sample=0)
    except StartupError as also:
        assert str(also) == sentence
    else:
        (found,) = about_redis(report)
        assert found.mark == "problem"
        assert f"{found.text}: {found.remedy}".lower() in sentence.lower()
    assert PASSWORD not in sentence
    return sentence


async def test_a_wrong_url_or_a_missing_key_is_refused(shared: With) -> None:
    assert "it begins with redis://" in await refused(shared, f"http://{PASSWORD}@127.0.0.1")
    assert "RELAY_REDIS_KEY is not set" in await refused(shared, "redis://127.0.0.1", relay_redis_key="")


async def test_a_wrong_password_or_too_few_rights_end_the_start(shared: With) -> None:
    users = ["user default off", f"user relay on >{PASSWORD} ~relay:v1:* +get +eval +ping +info +xread"]
    with Valkey(acl=users) as valkey:
        said = "Redis does not accept the user or the password of RELAY_REDIS_URL, or wants one"
        assert said in await refused(shared, valkey.url)
        assert said in await refused(shared, valkey.url_as("relay", f"not {PASSWORD}"))
        assert f"give it {LEAST_RIGHTS}" in await refused(shared, valkey.url_as("relay", PASSWORD))


async def test_the_least_rights_suffice(
    shared: With, logged: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with Valkey(acl=["user default off", f"user relay on >{PASSWORD} {LEAST_RIGHTS}"]) as valkey:
        # A database of Redis other than the first one has to be selected.
        settings = shared(f"{valkey.url_as('relay', PASSWORD)}/3")
        report = await examine(settings, sample=0)
        assert report.works
        (found,) = about_redis(report)
        assert found.mark == "ok"
        assert found.text.startswith("Valkey ")
        async with running(settings):
            await logged("this relay leads")
        assert not [one for one in caplog.records if one.levelname == "WARNING" and "shared" in one.message]


async def test_tls_that_fails_ends_the_start(shared: With, tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    with Valkey(certificate=authority.issue("valkey")) as valkey:
        assert "is not trusted" in await refused(shared, valkey.url)
        assert "is not trusted" in await refused(shared, f"{valkey.url}?ssl_ca_certs={stranger.file}")
        assert "Redis wants TLS" in await refused(shared, valkey.url.replace("rediss://", "redis://"))
    with Valkey(certificate=authority.issue("valkey"), client_authority=authority.file) as valkey:
        said = await refused(shared, f"{valkey.url}?ssl_ca_certs={authority.file}")
        assert "TLS with Redis fails" in said


async def test_a_redis_without_tls_ends_the_start_of_a_relay_that_wants_it(
    shared: With, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setattr("relay.source.shared.redis_url.CONNECT_S", 0.5)  # it waits so long for TLS in vain
    with Valkey() as valkey:
        url = valkey.url.replace("redis://", "rediss://")
        assert "Redis has no TLS" in await refused(shared, f"{url}?ssl_ca_certs={authority.file}")


async def test_something_other_than_a_redis_ends_the_start(shared: With, with_: With) -> None:
    async with running(with_()) as relay:
        url = relay.url.replace("http://", "redis://")
        assert "is not a Redis" in await refused(shared, url)
    with Valkey() as valkey:
        assert "no database with this number" in await refused(shared, f"{valkey.url}/99")


async def test_a_redis_that_is_away_is_no_reason_not_to_start(
    shared: With, logged: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        settings = shared(f"redis://relay:{PASSWORD}@127.0.0.1:{taken.getsockname()[1]}")
        async with running(settings):
            await logged("following the database directly", "cannot lead the shared change stream")
        report = await examine(settings, sample=0)

    assert caplog.text.count("Redis cannot be reached; this relay starts alone") == 1
    assert caplog.text.count("the shared change stream is lost; following the database directly") == 1
    assert report.works
    (found,) = about_redis(report)
    assert found.mark == "warning"


@pytest.mark.parametrize(
    ("maxmemory", "settings", "words"),
    [
        ("100mb", {}, "its memory is limited to 100 MiB"),
        (None, {"relay_redis_encryption": "off"}, "changes are not encrypted"),
    ],
)
async def test_the_check_warns_of_little_memory_and_of_changes_in_plain_text(
    shared: With, maxmemory: str | None, settings: dict[str, str], words: str
) -> None:
    with Valkey(maxmemory=maxmemory) as valkey:
        report = await examine(shared(valkey.url, **settings), sample=0)
    assert report.works
    found = about_redis(report)
    assert [one.mark for one in found] == ["ok", "warning"]
    assert words in found[1].text

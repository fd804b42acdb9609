"""What a sentence about a host that cannot be listened on shows of it."""

from __future__ import annotations

import pytest

from relay.errors import StartupError
from relay.gateway.listening import bind

SECRET = "9f86d081884c7d659a2feaa0c55ad015"


@pytest.mark.parametrize("host", [SECRET, SECRET * 3, f"{SECRET}.invalid", "mongodb://u:p/w", "-----BEGIN"])
def test_a_host_that_may_be_a_secret_is_not_shown(host: str) -> None:
    with pytest.raises(StartupError, match="RELAY_HOST") as failure:
        bind(host, 0, 10)
    assert host not in str(failure.value)
    assert host[:10] not in str(failure.value)


@pytest.mark.parametrize(
    "host", ["relay.internal.invalid", "2001:db8:1111:2222:3333:4444:5555:6666", "aaa.."]
)
def test_another_host_that_cannot_be_listened_on_is_shown(host: str) -> None:
    with pytest.raises(StartupError) as failure:
        bind(host, 0, 10)
    assert host in str(failure.value)

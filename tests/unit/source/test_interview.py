"""What is said of a server that does not fit the URL. Without a network: the test sets what the server answers."""

from __future__ import annotations

from typing import Any

import pytest
from support.relay_fixture import settings_for

from relay.source import interview
from relay.source.client import address_of
from relay.source.diagnosis import Diagnosis


async def test_a_server_that_wants_tls_is_recognised_though_one_attempt_with_tls_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a busy machine, `relay check` said of one that it does not answer as MongoDB does."""
    answers: dict[bool | None, list[Any]] = {None: ["connection closed"], True: ["connection closed", {}]}

    async def answer(*_: Any, tls: bool | None = None) -> Any:
        return answers[tls].pop(0)

    monkeypatch.setattr(interview, "_hello", answer)
    address = address_of(settings_for("mongodb://db:27017/", "app"))

    found = (await interview.interview(address, [("db", 27017)]))["db:27017"]

    assert isinstance(found, Diagnosis)
    assert found.remedy == "add tls=true to it"

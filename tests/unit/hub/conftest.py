"""A fixture for tests of the hub in which something waits until the test goes on."""

from __future__ import annotations

import pytest


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine nothing may give up waiting before the test goes on."""
    monkeypatch.setattr("relay.hub.reads.CATCH_UP_S", 30.0)
    monkeypatch.setattr("relay.hub.fragment_reads.PATIENCE_S", 30.0)

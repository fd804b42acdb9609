"""The scenarios of a relay, against the fake relay of relay.client.testing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from support.relay_scenarios import SCENARIOS, Scenario

from relay.client import Client
from relay.client.testing import FakeRelay, fake_relay


class FakeDriver:
    """Makes the fake relay do what a scenario asks for."""

    def __init__(self, fake: FakeRelay, relay: Client) -> None:
        self.fake, self.relay = fake, relay
        self.offline, self.online, self.another = fake.offline, fake.online, fake.connect

    async def add(self, task: Mapping[str, Any]) -> None:
        self.fake.add(task)

    async def push(self, task_id: str, event: Mapping[str, Any], **fields: Any) -> None:
        self.fake.push(task_id, event, **fields)

    async def set(self, task_id: str, **fields: Any) -> None:
        self.fake.set(task_id, **fields)

    async def remove(self, task_id: str) -> None:
        self.fake.remove(task_id)

    async def revoke(self, task_id: str) -> None:
        self.fake.revoke(task_id)

    async def grant(self, task_id: str) -> None:
        self.fake.grant(task_id)

    def switch_off(self) -> None:
        self.fake.fail(4502)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_it_holds_of_the_fake_relay(scenario: Scenario) -> None:
    fake = fake_relay()
    async with fake as relay:
        await scenario(FakeDriver(fake, relay))

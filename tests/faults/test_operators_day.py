"""A day of an operator with a relay, from the first start to the last stop, with nothing but the commands, the log and
the files that an operator has."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from proxy import Proxy
from pymongo import MongoClient
from support.command_process import run
from support.log_lines import logged
from support.relay_fixture import SocketClient, connected, token
from support.worker_processes import workers
from websockets.exceptions import ConnectionClosed

from relay.cli.demo import mongod as embedded

OLD, NEW = "the-secret-of-the-first-half-of-the-day", "the-secret-of-the-second-half-of-the-day"
TEAMS = '[[visibility.rules]]\nname = "team"\nfield = "teamId"\nclaim = "teams"\n\n'
OWNERS = '[[visibility.rules]]\nname = "owner"\nfield = "createdBy"\nclaim = "sub"\n'
MEMBERS, OTHERS = 25, 25  # clients of the team `red`, and of users who see tasks of their own
LISTENING = '"event": "listening"'


class Desk:
    """The files of an operator: the settings, the secrets and the mapping of one relay; and the commands that read
    them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings: dict[str, str] = {}

    def write(self, name: str, text: str) -> str:
        """Write one of the files, and return its path."""
        path = self._folder / name
        path.write_text(text)
        return str(path)

    def set(self, **settings: str) -> None:
        """Change these settings in the file of settings."""
        self._settings |= settings
        self.write("relay.env", "".join(f"{name}={value}\n" for name, value in self._settings.items()))

    @property
    def environment(self) -> dict[str, str]:
        return {"RELAY_SETTINGS_FILE": str(self._folder / "relay.env")}

    async def run(self, *arguments: str, code: int = 0, **given: str) -> str:
        """Run a command until it ends with this exit code, and return what it has printed, on both outputs."""
        ended = await asyncio.to_thread(run, *arguments, **self.environment | given)
        printed = ended.stdout + ended.stderr
        assert ended.returncode == code, printed
        return printed


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class Crowd:
    """Fifty people with the page open: members of a team, who see its task, and others, who each see their own."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack
        self.members: list[SocketClient] = []
        self.others: list[SocketClient] = []

    async def come(self, secret: str) -> None:
        for number in range(MEMBERS):
            self.members.append(await self._joined("of the team", f"member {number}", secret, teams=["red"]))
        for number in range(OTHERS):
            self.others.append(await self._joined(f"of {number}", f"user {number}", secret))

    async def _joined(self, task: str, sub: str, secret: str, **claims: Any) -> SocketClient:
        client = await self._stack.enter_async_context(connected(self._url, sub=sub, secret=secret, **claims))
        await client.send("dashboard:join", {"limit": 10})
        await client.until("dashboard:state")
        await client.send("task:join", {"taskId": task})
        await client.until("task:state")
        return client

    async def bring_tokens(self, secret: str) -> None:
        """Let each client bring a new token, as the application of its page hands them out."""
        for number, client in enumerate(self.members):
            await client.send("auth", {"token": token(f"member {number}", secret=secret, teams=["red"])})
        for number, client in enumerate(self.others):
            await client.send("auth", {"token": token(f"user {number}", secret=secret)})
        for client in (*self.members, *self.others):
            await client.until("auth:ok")


async def notices_nothing(clients: list[SocketClient]) -> None:
    assert [await client.quiet() for client in clients] == [[]] * len(clients)


async def ending_of(client: SocketClient) -> int | None:
    with suppress(ConnectionClosed):
        while True:
            await client.next()
    return client.socket.close_code


@pytest.mark.timeout(300)
async def test_an_operator_gets_through_the_day_with_what_the_relay_says(
    desk: Desk, mongo_url: str, mongo: MongoClient[Any], database_name: str, tmp_path: Path
) -> None:
    tasks = mongo[database_name]["tasks"]
    tasks.insert_many(
        [
            {"_id": "of the team", "createdBy": "lead", "teamId": "red", "events": []},
            *({"_id": f"of {n}", "createdBy": f"user {n}", "events": []} for n in range(OTHERS)),
        ]
    )
    port = int(mongo_url.partition("127.0.0.1:")[2].partition("/")[0])
    async with AsyncExitStack() as stack:
        way = await stack.enter_async_context(Proxy(port))
        desk.set(
            RELAY_MONGO_URL=f"mongodb://127.0.0.1:{way.port}/?directConnection=true",
            RELAY_MONGO_DATABASE=database_name,
            RELAY_JWT_SECRET_FILE=desk.write("secret", f"{OLD}\n"),
            RELAY_MAPPING=desk.write("mapping.toml", TEAMS + OWNERS),
            RELAY_PORT="0",
            RELAY_ADMIN_PORT=str(embedded.free_port()),
            RELAY_LOG_FORMAT="json",
            RELAY_LIST_UPDATE_MIN_INTERVAL_MS="0",
            RELAY_HEARTBEAT_MS="120000",  # so that none is among what clients notice
            RELAY_DRAIN_MS="2s",
        )
        # The first start fails. `check` and `serve` say the same about it, and that is all there is to mend.
        wrong = "RELAY_DRAIN_MS: must be a valid integer"
        assert wrong in await desk.run("check", code=3)
        assert wrong in await desk.run("serve", code=3)
        desk.set(RELAY_DRAIN_MS="2000")
        assert '"2s"' not in await desk.run("check")

        # On a busy machine the database may stand still for some seconds, which clients must not notice here.
        patient = {"relay.health.STALE_AFTER_S": 15}
        relay = await stack.enter_async_context(
            workers(tmp_path, until=LISTENING, patches=patient, **desk.environment)
        )
        administrator = {"RELAY_TOKEN": await desk.run("token", "--sub", "root", "--claim", "roles=admin")}
        crowd = Crowd(relay.url, stack)
        await crowd.come(OLD)

        # Somebody calls: the page says that he has to sign in. The log has the reason, and so does `explain`;
        late = token("carol", secret=OLD, ttl_s=-600)
        with pytest.raises(ConnectionClosed):
            async with connected(relay.url, sub="carol", secret=OLD, ttl_s=-600):
                pass
        line = await logged(relay, "connection refused", code=4401, reason="token_expired")
        assert line["detail"].startswith("ended 10 minutes ago")
        assert "ended 10 minutes ago" in await desk.run(
            "explain", "--task", "of the team", code=1, RELAY_TOKEN=late
        )
        # he gets a new token, and does not see the task: he is not in the team.
        said = await desk.run(
            "explain", "--task", "of the team", code=1, RELAY_TOKEN=token("carol", secret=OLD)
        )
        assert "teams" in said
        assert "createdBy" in said

        # The secret is rotated: the new one comes in front, the application signs with it, the old one goes.
        everybody = [*crowd.members, *crowd.others]
        desk.write("secret", f"{NEW}\n{OLD}\n")
        relay.process.send_signal(signal.SIGHUP)
        await logged(relay, "reloaded", changed=["RELAY_JWT_SECRET"])
        await crowd.bring_tokens(NEW)
        desk.write("secret", f"{NEW}\n")
        administrator["RELAY_TOKEN"] = await desk.run("token", "--sub", "root", "--claim", "roles=admin")
        assert "RELAY_JWT_SECRET" in await desk.run("admin", "reload", **administrator)
        await notices_nothing(everybody)

        # A mapping that does not load changes nothing. One that takes the team's rights is felt by the team alone.
        desk.write("mapping.toml", "[visibility]\nrules = 3\n")
        assert "visibility.rules" in await desk.run("admin", "reload", code=3, **administrator)
        await notices_nothing(everybody)
        desk.write("mapping.toml", OWNERS)
        await desk.run("admin", "reload", **administrator)
        for member in crowd.members:
            assert (await member.next())["type"] == "task:revoked"
            assert (await member.until("dashboard:state"))["data"]["tasks"] == []
        tasks.update_one({"_id": "of the team"}, {"$push": {"events": {"type": "log"}}})
        tasks.update_one({"_id": "of 0"}, {"$push": {"events": {"type": "log"}}})
        assert (await crowd.others[0].until("task:event_added"))["data"]["index"] == 0
        await crowd.others[0].quiet()
        await notices_nothing([*crowd.members, *crowd.others[1:]])

        # One user is shut out.
        assert "1 " in await desk.run("admin", "kick", "user 1", **administrator)
        assert await ending_of(crowd.others.pop(1)) == 4403
        assert (await logged(relay, "a user was disconnected"))["by"] == "root"
        listed = await desk.run("admin", "ls", "--user", "user 1", **administrator)
        assert "0 connections" in listed

        # The database is away for a while. The log says when that begins and ends. (The alerts: test_alerts.py.)
        way.refuse()
        await logged(relay, "relay stale: the database does not answer")
        await way.accept()
        await logged(relay, "relay live again")

        # In the evening it stops. Everybody is told before.
        assert await relay.end() == 0
        for client in crowd.others:
            await client.until("server:draining")
            assert await ending_of(client) == 1001
        assert (await logged(relay, "relay draining"))["connections"] == len(crowd.members) + len(
            crowd.others
        )

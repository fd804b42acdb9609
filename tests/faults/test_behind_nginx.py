"""The profile `many` of docker-compose.yml, without containers: three relays with the command and the settings of the
file, a Valkey with its command line, and nginx with the very file of the project, in front of all."""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from checker import JOINED, LONG_S, POLL_S, Watcher, Writer, caught_up, check_received, watching, writing
from fleet import GONE, Fleet, Instance, Mover
from support.compose import composed, nginx
from support.doc_snippets import ROOT
from support.relay_fixture import SOON_S, token
from support.valkey import Valkey
from support.worker_clients import port_is_free
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

pytest.importorskip("redis")

PASSWORD = secrets.token_hex(32)


class Poller(Mover):
    """A client that only polls, and polls again whatever the answer was."""

    def __init__(self, wanted: Sequence[str], *, dashboard: bool = False) -> None:
        super().__init__(wanted, random.Random(), dashboard=dashboard)  # it never chooses anything

    async def stay(self, url: Callable[[], str]) -> None:
        while True:
            with suppress(*GONE, KeyError):  # KeyError: the answer ended before its head was complete
                await self.poll(url())
            await asyncio.sleep(POLL_S)

    async def poll(self, url: str) -> None:
        self.connection += 1
        await self._poll(url)


@asynccontextmanager
async def many(
    folder: Path, mongo_url: str, database: str, **changed: str
) -> AsyncIterator[tuple[Fleet, str]]:
    """Run Valkey, three relays and nginx, and yield the relays and the address of nginx. `changed` are settings of the
    relays that differ from the file."""
    variables = {
        "RELAY_JWT_SECRET": "-",
        "RELAY_REDIS_KEY": secrets.token_hex(32),
        "VALKEY_PASSWORD": PASSWORD,
        "RELAY_MONGO_DATABASE": database,
    }
    services = composed(**variables)["services"]
    relay = services["relay-1"]
    given = relay["environment"]
    del given["RELAY_JWT_SECRET"]  # that of the tests
    with Valkey(arguments=services["valkey"]["command"][1:]) as valkey:
        given["RELAY_MONGO_URL"] = mongo_url
        given["RELAY_MAPPING"] = str(
            ROOT / relay["volumes"][0]["source"]
        )  # where the container would have it
        assert "@valkey:6379/" in given["RELAY_REDIS_URL"]
        given["RELAY_REDIS_URL"] = given["RELAY_REDIS_URL"].replace(
            "@valkey:6379", f"@127.0.0.1:{valkey.port}"
        )
        given["RELAY_TRUSTED_PROXIES"] = "127.0.0.1"  # nginx on this machine
        settings = given | {"RELAY_MESSAGES_PER_SECOND": "1000"} | changed
        arguments = relay["command"][1:]
        async with (
            Fleet(folder, settings, {}, arguments=arguments) as fleet,
            nginx(folder, [one.port for one in fleet]) as url,
        ):
            yield fleet, url


async def get(url: str, path: str, source: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    """Return the status and the body of the answer to a GET request from this address of this machine."""

    def ask() -> tuple[int, str]:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=SOON_S, source_address=(source, 0))
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


async def readiness(url: str) -> int:
    """Return the status of /readyz. One that has a worker that stands still says 503, and is asked again."""
    async with asyncio.timeout(LONG_S):
        while (status := (await get(url, "/readyz"))[0]) == 503:
            await asyncio.sleep(POLL_S)
    return status


@pytest.mark.timeout(300)
async def test_clients_behind_nginx_receive_each_event_once_while_relays_stop_and_die(
    mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    async with (
        many(tmp_path, mongo_url, database_name, RELAY_DRAIN_MS="500") as (fleet, url),
        writing(mongo_url, database_name) as writer,
    ):
        await fleet.settled()
        staying = [Watcher(JOINED, dashboard=number == 0) for number in range(6)]
        polling = [Poller(JOINED), Poller(JOINED[:2], dashboard=True)]
        async with watching(lambda: url, *staying, *polling):
            async with asyncio.timeout(LONG_S):
                for one in fleet:
                    while not await one.figure("relay_connections"):  # nginx uses all of them
                        await asyncio.sleep(POLL_S)
            async with writer.busy():
                await writer.acknowledge(20)
                killed = await fleet.leader()
                stopped = next(one for one in fleet if one is not killed)
                await stopped.stop()
                await answers(url, writer)
                stopped.start()
                await fleet.settled()
                await dead(killed)
                await answers(url, writer)
                killed.start()
                await fleet.settled()
                await writer.acknowledge(50)
            await caught_up(writer, *staying, *polling)
            await check_received(writer, *staying, *polling)
        assert await fleet.total("relay_stream_reopened_total") == 0
    said = fleet.said()
    assert "Traceback" not in said, said[said.index("Traceback") :][:5000]


async def answers(url: str, writer: Writer) -> None:
    """Check that nginx answers each new request, while a relay is away."""
    await writer.acknowledge(20)
    for _ in range(6):
        assert (await get(url, "/healthz"))[0] == 200
        await polled(url)
        async with opened(url):
            pass


async def polled(url: str) -> None:
    """Poll once, and check that the answer is the state of the task."""
    poller = Poller(JOINED[:1])
    await poller.poll(url)
    assert poller.polls == 1, "the poll was refused"


async def dead(relay: Instance) -> None:
    relay.kill()
    await port_is_free(relay.port)


@pytest.mark.timeout(300)
async def test_no_request_to_nginx_is_lost_to_a_dead_relay(
    mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    """nginx learns from the first request that finds it dead. There are no others here."""
    async with (
        many(tmp_path, mongo_url, database_name) as (fleet, url),
        writing(mongo_url, database_name),
    ):
        for _ in fleet:  # so that nginx has a connection to each that it would use again
            await polled(url)
        await dead(fleet[0])
        for _ in fleet:
            async with opened(url):
                pass
        await dead(fleet[1])
        for _ in fleet:
            await polled(url)
        assert await readiness(url) == 200
        await dead(fleet[2])
        assert await readiness(url) == 502


@asynccontextmanager
async def opened(url: str, source: str = "127.0.0.1", **headers: str) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket from this address of this machine. Raises ConnectionClosed if it is refused."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    async with connect(
        url.replace("http", "ws", 1) + "/ws",
        additional_headers={"Authorization": f"Bearer {token('alice')}", **headers},
        local_addr=(source, 0),
        proxy=None,
        open_timeout=SOON_S,
    ) as socket:
        assert '"welcome"' in str(await socket.recv(decode=True))
        yield socket


async def refused(url: str, source: str, **headers: str) -> int | None:
    """Return the close code of a WebSocket that is refused."""
    with pytest.raises(ConnectionClosed) as closed:
        async with opened(url, source, **headers):
            pass
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have only one address of 127.0.0.0/8")
async def test_relays_behind_nginx_count_real_addresses_and_show_no_figures_outside(
    mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    async with many(
        tmp_path, mongo_url, database_name, RELAY_MAX_CONNECTIONS_PER_ADDRESS="1", RELAY_DRAIN_MS="0"
    ) as (fleet, url):
        assert (await get(url, "/metrics", "127.0.0.2"))[0] == 404
        assert (await get(url, "/metrics/", "127.0.0.2"))[0] == 404
        assert (await get(url, "/%6detrics?a=b", "127.0.0.2"))[0] == 404
        assert (await get(url, "/readyz", "127.0.0.2"))[0] == 403
        assert await readiness(url) == 200

        # Each relay has room for one connection of an address, and of three connections nginx gives each relay one.
        async with opened(url, "127.0.0.2"), opened(url, "127.0.0.2"), opened(url, "127.0.0.2"):
            assert await refused(url, "127.0.0.2") == 4430
            assert await refused(url, "127.0.0.2", X_Forwarded_For="198.51.100.7") == 4430
            async with opened(url, "127.0.0.3", X_Forwarded_For="127.0.0.2"):
                pass

        # A client that reaches a relay without nginx counts for its own address.
        direct = fleet[0].url
        async with opened(direct, "127.0.0.4", X_Forwarded_For="198.51.100.7"):
            assert await refused(direct, "127.0.0.4", X_Forwarded_For="198.51.100.8") == 4430
            async with opened(url, "127.0.0.5", X_Forwarded_For="198.51.100.7"):
                pass

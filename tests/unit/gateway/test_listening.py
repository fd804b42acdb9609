"""Listening sockets accept on the right addresses, and close connections when descriptors run out."""

from __future__ import annotations

import resource
import select
import socket
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.relay_fixture import SOON_S

from relay.auth.addresses import client_address, is_proxy, networks
from relay.errors import StartupError
from relay.gateway import descriptors
from relay.gateway.descriptors import Capacity, reserve_descriptors
from relay.gateway.listening import bind, is_local, shown


def accepted_from(listening: socket.socket, address: str) -> str:
    """The address that the listening socket sees of a client that connects to `address`."""
    with socket.create_connection((address, listening.getsockname()[1]), timeout=SOON_S):
        connection, peer = listening.accept()
        connection.close()
    return str(peer[0])


@pytest.mark.parametrize("host", ["::", "::0", "0:0:0:0:0:0:0:0"])
def test_a_socket_on_all_ipv6_addresses_accepts_ipv4_and_counts_each_client_by_its_own_address(
    host: str,
) -> None:
    with bind(host, 0) as listening:
        by_ipv4, by_ipv6 = (accepted_from(listening, address) for address in ("127.0.0.1", "::1"))
    assert by_ipv4 == "::ffff:127.0.0.1"
    assert client_address(by_ipv4, [], ()) == "127.0.0.1"
    assert is_proxy(by_ipv4, networks(["127.0.0.0/8"]))
    assert client_address(by_ipv6, [], ()) == "::/64"


def test_a_socket_on_one_ipv6_address_accepts_no_ipv4() -> None:
    with bind("::1", 0) as listening, pytest.raises(ConnectionRefusedError):
        accepted_from(listening, "127.0.0.1")


@pytest.mark.parametrize("host", ["::", "0.0.0.0", "127.0.0.1", "::1"])
def test_a_port_in_use_is_a_startup_error(host: str) -> None:
    other = "127.0.0.1" if host == "::" else host
    family = socket.AF_INET6 if ":" in other else socket.AF_INET
    with (
        socket.create_server((other, 0), family=family) as taken,
        pytest.raises(StartupError, match="another program listens there"),
    ):
        bind(host, taken.getsockname()[1])


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 100, "300.1.1.1", "192.0.2.1", "*"])
def test_a_host_of_another_machine_is_a_startup_error_of_one_line(host: str) -> None:
    with pytest.raises(StartupError) as failure:
        bind(host, 0)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("host", "url_host", "local"),
    [
        ("::", "localhost", True),
        ("::0", "localhost", True),
        ("0.0.0.0", "localhost", True),
        ("::1", "[::1]", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("localhost", "localhost", True),
        ("10.0.0.1", "10.0.0.1", False),
        ("fd00::1", "[fd00::1]", False),
        ("relay.example.com", "relay.example.com", False),
    ],
)
def test_the_shown_address_can_be_typed_into_a_browser(host: str, url_host: str, local: bool) -> None:
    assert (shown(host), is_local(host)) == (url_host, local)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """The limit on open files of a process that may lower its hard limit, and never raise it."""
    held = {"now": (0, 0)}

    def change(_: int, wanted: tuple[int, int]) -> None:
        assert wanted[1] == held["now"][1]
        if wanted[1] != resource.RLIM_INFINITY and wanted[0] > wanted[1]:
            raise ValueError("not allowed to raise maximum limit")
        held["now"] = wanted

    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: held["now"])
    monkeypatch.setattr(descriptors.resource, "setrlimit", change)
    monkeypatch.setattr(descriptors, "_opened", lambda: 10)
    return held


INFINITE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("before", "after", "capacity"),
    [
        ((1024, 1_048_576), 20_778, Capacity(20_000, 20_394, 20_522, 20_778)),  # the default of systemd
        ((1_048_576, 1_048_576), 1_048_576, Capacity(20_000, 1_048_192, 1_048_320, 1_048_576)),
        ((256, INFINITE), 20_778, Capacity(20_000, 20_394, 20_522, 20_778)),
        ((INFINITE, INFINITE), INFINITE, Capacity(20_000, sys.maxsize, sys.maxsize, INFINITE)),
        ((1024, 4096), 4096, Capacity(3318, 3712, 3840, 4096)),
        ((256, 256), 256, Capacity(198, 232, 240, 256)),
        ((64, 64), 64, Capacity(6, 40, 48, 64)),
        ((59, 59), 59, Capacity(1, 35, 43, 59)),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_needed_and_permitted(
    limits: dict[str, tuple[int, int]],
    caplog: pytest.LogCaptureFixture,
    before: tuple[int, int],
    after: int,
    capacity: Capacity,
) -> None:
    limits["now"] = before
    made = reserve_descriptors(20_000)
    assert made == capacity
    made.warn_if_below(20_000)
    assert limits["now"] == (after, before[1])
    assert len(caplog.records) == (capacity.connections < 20_000)


@pytest.mark.parametrize("limit", [0, 16, 58])
def test_a_limit_that_permits_no_connection_is_a_startup_error(
    limits: dict[str, tuple[int, int]], limit: int
) -> None:
    limits["now"] = (limit, limit)
    with pytest.raises(StartupError, match=f"is {limit}, .* at least 59;"):
        reserve_descriptors(20_000)


@given(wanted=st.integers(1, 10_000_000), limit=st.integers(0, 2**31), opened=st.integers(0, 1_000))
@example(wanted=1, limit=264, opened=215)
def test_client_connections_leave_the_relay_its_own_descriptors(wanted: int, limit: int, opened: int) -> None:
    try:
        capacity = descriptors._capacity(wanted, limit, opened)
    except StartupError:
        assert limit < opened + 49
        return
    own = 16  # two MongoDB clients with their monitors, the stream and reads of one member, listening sockets, spares
    assert 1 <= capacity.connections <= wanted
    # Below the ceiling: these, all permitted connections, and some that are answered that the relay is full.
    assert capacity.connections + opened + own < capacity.ceiling
    # Above it: some for the admin port, and above those the number that the relay needs for itself.
    assert capacity.ceiling + 8 <= capacity.admin_ceiling <= limit - own


def test_a_limit_that_cannot_be_raised_is_used_as_it_is(
    limits: dict[str, tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(descriptors.resource, "setrlimit", refuse)
    limits["now"] = (1024, INFINITE)
    assert reserve_descriptors(20_000) == Capacity(822, 928, 960, 1024)


# Runs in a process of its own, because it uses up all descriptors.
OUT_OF_DESCRIPTORS = """
import asyncio, errno, logging, os, resource, socket, sys
from relay.gateway import listening
from relay.gateway.listening import bind, ignore_out_of_descriptors

logging.basicConfig(stream=sys.stdout, format="LOG %(name)s %(message)s")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
spared = sys.argv[1] == "spare"

class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(data)

async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(ignore_out_of_descriptors)
    listener = bind("127.0.0.1", 0)
    here = ("127.0.0.1", listener.getsockname()[1])
    server = await loop.create_server(Echo, sock=listener, backlog=2048)
    reader, writer = await asyncio.open_connection(*here)
    sockets = [socket.socket() for _ in range(20)]  # made while there are descriptors
    for one in sockets:
        one.setblocking(False)
    files = []
    try:
        while True:
            files.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as failure:
        assert failure.errno == errno.EMFILE
    if not spared:
        listener._free_spare()
        files.append(os.open(os.devnull, os.O_RDONLY))
    calls = 0
    accept = listener.accept
    def counting():
        nonlocal calls
        calls += 1
        return accept()
    listener.accept = counting
    # When more clients connect,
    for one in sockets:
        one.connect_ex(here)
    if spared:  # then they are closed,
        for one in sockets:
            try:
                assert await loop.sock_recv(one, 1) == b""
            except ConnectionError:
                pass
    # and the first connection goes on,
    for _ in range(200):
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
    print("calls", calls)
    # and new ones are accepted once descriptors are free.
    for one in files:
        os.close(one)
    for one in sockets:
        one.close()
    _, another = await asyncio.open_connection(*here)
    another.write(b"x")
    async with asyncio.timeout(30):
        assert await _.readexactly(1) == b"x"
    writer.close(), another.close(), server.close()

asyncio.run(main())
print("done")
"""


@pytest.mark.parametrize("how", ["spare", "none"])
def test_open_connections_go_on_when_descriptors_run_out_and_it_is_logged_once(how: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", OUT_OF_DESCRIPTORS, how],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.stderr == ""
    lines = ended.stdout.splitlines()
    assert lines[-1] == "done"
    logged = [line for line in lines if line.startswith("LOG")]
    assert logged == [
        "LOG relay.gateway.listening out of file descriptors: new connections are refused until others end"
    ]
    (calls,) = [int(line.split()[1]) for line in lines if line.startswith("calls")]
    assert calls <= 50  # the event loop is not woken again and again


def test_a_connection_above_the_ceiling_is_closed_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with (
        bind("127.0.0.1", 0, ceiling=1) as listening,
        socket.create_connection(listening.getsockname(), timeout=SOON_S) as client,
    ):
        listening.setblocking(False)
        assert select.select([listening], [], [], SOON_S)[0]
        with pytest.raises(BlockingIOError):
            listening.accept()
        assert client.recv(1) == b""
    assert len(caplog.records) == 1

"""The listening sockets of all workers, in the parent: who shares a port with whom, and what is left of them."""

from __future__ import annotations

import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.relay_fixture import SECRET, SOON_S
from support.worker_clients import free_ports

from relay.cli.demo import mongod as embedded
from relay.config import load
from relay.errors import StartupError
from relay.gateway.listening import bind, listen
from relay.gateway.unix_socket import listen_unix
from relay.workers.ports import WorkerPorts, open_worker_ports

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not spread connections")
BOTH = [pytest.param(True, marks=on_linux, id="a socket each"), pytest.param(False, id="one socket for all")]


@contextmanager
def opened(spread: bool = sys.platform == "linux", **given: Any) -> Iterator[WorkerPorts]:
    settings = load(**{"relay_jwt_secret": SECRET, "relay_port": 0, "relay_workers": 2} | given)
    with open_worker_ports(settings, spread=spread) as ports:
        yield ports


def number_of(ports: WorkerPorts) -> int:
    return int(ports.url.rpartition(":")[2])


def accepted(descriptor: int, within_s: float = SOON_S) -> bool:
    """Whether a connection waits in the listening socket with this descriptor. It is accepted and closed."""
    with socket.socket(fileno=descriptor) as listening:
        listening.settimeout(within_s)
        try:
            listening.accept()[0].close()
        except TimeoutError:
            return False
        finally:
            listening.detach()
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "::", "localhost"])
@pytest.mark.parametrize("spread", BOTH)
def test_all_workers_listen_on_one_port_which_is_chosen_once(spread: bool, host: str) -> None:
    with opened(spread, relay_host=host) as ports, ExitStack() as clients:
        sockets = {tuple(one.open()) for one in ports.listeners}
        assert len(sockets) == 2
        for number in range(40):
            address = "::1" if host == "::" and number % 2 else "127.0.0.1"
            clients.enter_context(socket.create_connection((address, number_of(ports)), timeout=SOON_S))
        # A connection waits in the socket of one worker, or in the one that both have.
        waiting = [sum(iter(lambda fd=fd: accepted(fd, 0.05), False)) for (fd,) in sockets]
        assert sum(waiting) == 40
        assert (min(waiting) > 0) is spread


@pytest.mark.parametrize("spread", BOTH)
@pytest.mark.parametrize("how", ["listens", "shares", "is a relay", "is a relay with workers"])
def test_a_port_in_use_is_a_startup_error(how: str, spread: bool) -> None:
    with ExitStack() as other:
        if how == "listens":
            taken = other.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        elif how == "shares":
            taken = other.enter_context(listen("127.0.0.1", 0, share=True)).getsockname()[1]
        elif how == "is a relay":
            taken = other.enter_context(bind("127.0.0.1", 0)).getsockname()[1]
        else:
            taken = number_of(other.enter_context(opened(spread)))
        with (
            pytest.raises(StartupError, match="another program listens there; choose another with --port"),
            opened(spread, relay_port=taken),
        ):
            pass


@pytest.mark.parametrize("spread", BOTH)
def test_a_port_of_workers_is_in_use_for_others(spread: bool) -> None:
    with opened(spread) as ports:
        with pytest.raises(StartupError, match="another program listens there"):
            bind("127.0.0.1", number_of(ports))
        # It stays reserved while no worker listens.
        for one in ports.listeners:
            one.close()
        with pytest.raises(StartupError, match="another program listens there"):
            bind("127.0.0.1", number_of(ports))
        assert all(one.open() for one in ports.listeners)
    bind("127.0.0.1", number_of(ports)).close()


@on_linux
def test_connections_go_to_other_workers_while_the_sockets_of_one_are_closed() -> None:
    with opened() as ports:
        first, second = ports.listeners
        first.close()
        (open_,) = second.open()
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", number_of(ports)), timeout=SOON_S):
                assert accepted(open_)
        # The first one is open again at its next start, on the same port.
        (again,) = first.open()
        with socket.socket(fileno=again) as listening:
            assert listening.getsockname()[1] == number_of(ports)
            listening.detach()


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "192.0.2.1"])
@pytest.mark.parametrize("spread", BOTH)
def test_a_host_of_another_machine_is_a_startup_error(spread: bool, host: str) -> None:
    with pytest.raises(StartupError) as failure, opened(spread, relay_host=host):
        pass
    assert "\n" not in str(failure.value)


def test_each_worker_has_a_port_of_its_own() -> None:
    first = free_ports(2)
    with opened(relay_worker_ports=str(first)) as ports:
        for number, one in enumerate(ports.listeners):
            _, own = one.open()
            with socket.create_connection(("127.0.0.1", first + number), timeout=SOON_S):
                assert accepted(own)


def test_a_workers_own_port_in_use_is_a_startup_error_and_leaves_nothing_open() -> None:
    port = embedded.free_port()
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(StartupError, match="choose another with --worker-ports or RELAY_WORKER_PORTS"),
        opened(relay_port=port, relay_worker_ports=str(taken.getsockname()[1] - 1)),
    ):
        pass
    bind("127.0.0.1", port).close()


def test_each_worker_has_a_unix_socket_that_is_removed_in_the_end(tmp_path: Path) -> None:
    with opened(relay_worker_ports=f"unix:{tmp_path}") as ports:
        for number, one in enumerate(ports.listeners, 1):
            _, own = one.open()
            path = tmp_path / f"worker-{number}.sock"
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                assert accepted(own)
        # It is opened again after it was closed.
        one.close()
        assert len(one.open()) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_unix_socket_of_a_worker_that_another_relay_has_taken_over_stays(tmp_path: Path) -> None:
    """The other relay starts while this one ends: its workers have closed their sockets already."""
    path = tmp_path / "worker-1.sock"
    with ExitStack() as end:
        with opened(relay_worker_ports=f"unix:{tmp_path}") as ports:
            ports.close()
            end.enter_context(listen_unix(path))
        assert path.is_socket()


def test_a_unix_socket_of_a_killed_relay_is_replaced(tmp_path: Path) -> None:
    listen_unix(path := tmp_path / "worker-1.sock").close()
    assert path.exists()
    with listen_unix(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_path_in_use_is_a_startup_error_and_is_left_alone(tmp_path: Path) -> None:
    (file := tmp_path / "worker-1.sock").write_text("precious")
    for path in (file, tmp_path / "worker-2.sock"):
        with (
            listen_unix(tmp_path / "worker-2.sock"),
            pytest.raises(StartupError, match=f"{path} cannot be opened: it is in use; choose another"),
            opened(relay_worker_ports=f"unix:{tmp_path}"),
        ):
            pass
        assert file.read_text() == "precious" if path == file else (tmp_path / "worker-2.sock").exists()
        file.unlink(missing_ok=True)


@pytest.mark.parametrize("path", ["missing/worker-1.sock", "x" * 200])
def test_a_path_that_cannot_be_used_is_a_startup_error(tmp_path: Path, path: str) -> None:
    with pytest.raises(StartupError) as failure:
        listen_unix(tmp_path / path)
    assert str(failure.value).startswith(f"The Unix socket {tmp_path / path} cannot be opened: ")

"""What a Unix socket leaves in the file system, and who may remove or replace it."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from relay.errors import StartupError
from relay.gateway import unix_socket
from relay.gateway.unix_socket import listen_unix, removal


def test_a_socket_is_removed_by_the_process_that_opened_it(tmp_path: Path) -> None:
    with listen_unix(path := tmp_path / "relay.sock"):
        remove = removal(path)
    remove()
    assert not path.exists()
    remove()  # nothing is left to remove


def test_a_socket_that_another_process_has_opened_since_stays(tmp_path: Path) -> None:
    """The first process has closed its socket and not removed it yet, when the next one takes its place."""
    with listen_unix(path := tmp_path / "relay.sock"):
        remove = removal(path)
    with listen_unix(path):
        remove()
        assert path.is_socket()


def test_a_socket_whose_mode_or_owner_was_changed_is_removed_as_well(tmp_path: Path) -> None:
    with listen_unix(path := tmp_path / "relay.sock"):
        remove = removal(path)
        path.chmod(0o660)
        os.chown(path, os.geteuid(), os.getegid())
        remove()
    assert not path.exists()


def test_a_socket_that_accepts_nothing_and_has_no_room_for_more_is_in_use(tmp_path: Path) -> None:
    """A start hung for ever, because a connection to such a socket waits until the other program accepts one."""
    path = tmp_path / "relay.sock"
    with socket.socket(socket.AF_UNIX) as hung, ExitStack() as waiting:
        hung.bind(str(path))
        hung.listen(0)
        while True:
            client = waiting.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            try:
                client.connect(str(path))
            except BlockingIOError:
                break
        with pytest.raises(StartupError, match="it is in use; choose another path"):
            listen_unix(path)
        assert path.is_socket()


def start(path: Path, together: threading.Barrier, opened: list[socket.socket], refused: list[str]) -> None:
    """Open the socket at the same time as others, and add it or the reason why not."""
    together.wait()
    try:
        opened.append(listen_unix(path))
    except StartupError as failure:
        refused.append(str(failure))


def test_of_relays_that_start_together_one_listens_and_the_others_say_that_it_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between `bind` and `listen` a socket looked abandoned, so that the next relay removed it, and both went on."""
    monkeypatch.setattr(unix_socket, "LOCK_WITHIN_S", 30.0)  # on a busy machine
    path = tmp_path / "relay.sock"
    for _ in range(100):
        listen_unix(path).close()  # an abandoned one, which all of them would replace
        together = threading.Barrier(4)
        opened: list[socket.socket] = []
        refused: list[str] = []

        relays = [threading.Thread(target=start, args=(path, together, opened, refused)) for _ in range(4)]
        for relay in relays:
            relay.start()
        for relay in relays:
            relay.join()
        for one in opened:
            one.close()
        assert len(opened) == 1
        assert len(refused) == 3
        assert all("it is in use" in sentence for sentence in refused)
    assert [one.name for one in tmp_path.iterdir()] == ["relay.sock"], "a lock has to leave nothing behind"


def test_a_directory_that_stays_locked_is_a_startup_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_socket, "LOCK_WITHIN_S", 0.05)
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        with pytest.raises(StartupError, match="another program has locked its directory"):
            listen_unix(tmp_path / "relay.sock")
    finally:
        os.close(directory)
    listen_unix(tmp_path / "relay.sock").close()

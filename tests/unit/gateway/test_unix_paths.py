"""What a Unix socket leaves in the file system, and who may remove it."""

from __future__ import annotations

from pathlib import Path

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

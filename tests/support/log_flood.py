"""A relay that writes lines to standard error for each bad request, in every way in which a program does.

No request makes a relay of today log anything. A bug may, and a version of uvicorn did.
"""

from __future__ import annotations

import socket
from pathlib import Path

from support.relay_fixture import SOON_S

TALKATIVE = """
import logging, sys, traceback, warnings
from relay.cli import output
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

output.MAX_WAITING_BYTES = 256 * 1024  # less than usual, so that it is full sooner
real, count = HttpToolsProtocol.send_400_response, 0

def send_400_response(self, msg):
    global count
    count += 1
    for name in ("relay.gateway", "uvicorn.error", "asyncio"):
        logging.getLogger(name).warning("%s has bad request %d.", name, count)
    warnings.warn(f"a warning about bad request {count}")
    print("a line about a bad request", file=sys.stderr)
    traceback.print_stack()
    real(self, msg)

HttpToolsProtocol.send_400_response = send_400_response
"""


def talkative(directory: Path) -> dict[str, str]:
    """Return the environment variables that make a relay talkative, and all its workers. `directory` is empty."""
    (directory / "sitecustomize.py").write_text(TALKATIVE)
    return {"PYTHONPATH": str(directory)}


def send_bad_requests(port: int, count: int) -> None:
    """Send so many bad requests one after the other, each on a connection of its own, and read every answer."""
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), timeout=SOON_S) as stranger:
            stranger.sendall(b"\x16\x03 no HTTP\r\n\r\n")
            assert b"400" in stranger.recv(1000)

"""The proxies of the guide to embedding, with the very text of the guide: what their configurations say, and the
commands that run them."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.doc_snippets import GUIDES, blocks
from support.relay_fixture import SOON_S

EMBEDDING = GUIDES / "embedding.md"
RELAY = "127.0.0.1:8080"  # as in the guide
PATHS = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")  # what nginx wants directories for


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_proxy(command: list[str], port: int, directory: Path) -> Iterator[None]:
    """Run a proxy that listens on this port, until the context ends."""
    process = subprocess.Popen(
        command, env={"HOME": str(directory), "PATH": PATHS}, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + SOON_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert process.poll() is None, "the proxy ended"
            assert time.monotonic() < deadline, "the proxy does not listen"
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


def nginx(
    directory: Path, port: int, relay: str, certificate: Path | None = None, *, application: str = ""
) -> list[str]:
    """Return the command that runs the nginx of the guide in this directory. `certificate` is a PEM file of a
    certificate and its key; without one, nginx serves plain HTTP. `application` is the address that has everything
    outside of the relay's path."""
    (text,) = blocks(EMBEDDING, "nginx")
    assert "listen 443 ssl;" in text
    lines = [line for line in text.splitlines() if "ssl_certificate" not in line]
    text = "\n".join(lines).replace(RELAY, relay)
    listen = f"listen 127.0.0.1:{port};"
    if certificate is not None:
        listen = f"listen 127.0.0.1:{port} ssl;\nssl_certificate {certificate};\nssl_certificate_key {certificate};"
    text = text.replace("listen 443 ssl;", listen)
    if application:
        own = f"location / {{ proxy_pass http://{application}; proxy_set_header Host $http_host; }}"
        text = text.replace("    location /live/ {", f"    {own}\n    location /live/ {{")
    places = "".join(f"{name}_temp_path {directory}/{name};\n" for name in TEMPORARY)
    user = "user root;\n" if os.geteuid() == 0 else ""  # so that its workers may write into this directory
    (directory / "nginx.conf").write_text(
        f"{user}daemon off;\npid {directory}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}{text}\n}}\n"
    )
    return ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")]


def caddy(directory: Path, port: int, relay: str, certificate: Path | None = None) -> list[str]:
    """Return the command that runs the Caddy of the guide in this directory. `certificate` as for `nginx`."""
    (text,) = [block for block in blocks(EMBEDDING, "text") if "reverse_proxy" in block]
    assert text.startswith("app.example.com {")
    head = f"http://127.0.0.1:{port} {{"
    if certificate is not None:
        head = f"https://127.0.0.1:{port} {{\n    tls {certificate} {certificate}"
    text = text.replace("app.example.com {", head, 1).replace(RELAY, relay)
    (directory / "Caddyfile").write_text("{\n    admin off\n    auto_https off\n}\n" + text)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(directory / "Caddyfile")]

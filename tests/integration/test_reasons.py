"""What the clients say of a connection that does not work, in front of a real relay, a real nginx and other servers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.guide_proxies import PATHS, TEMPORARY, free_port, running_proxy
from support.relay_fixture import SOON_S, running, settings_for, token

from relay.client import ConnectionRefused, Message, connect

REASONS = Path(__file__).parent.parent / "web" / "reasons.js"
LONG = 8_000  # characters in a claim: with it, a token is longer than a header of nginx


class AnotherServer(BaseHTTPRequestHandler):
    """Answers everything with a page of its own."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"<!doctype html><title>Another page</title>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def another_server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), AnotherServer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def nginx(directory: Path, relay: str) -> Iterator[int]:
    """Run an nginx that passes everything on, but the upgrade to a WebSocket only below `/good`. `/moved` is a
    redirect."""
    if shutil.which("nginx", path=PATHS) is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx)")
    port = free_port()
    places = "".join(f"{name}_temp_path {directory}/{name};\n" for name in TEMPORARY)
    (directory / "nginx.conf").write_text(f"""
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
pid {directory}/pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  {places}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://{relay}; }}
    location /good/ {{
      proxy_pass http://{relay}/;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
    }}
    location /moved/ {{ return 302 /elsewhere; }}
  }}
}}
""")
    with running_proxy(["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")], port, directory):
        yield port


async def said_by_browser_client(cases: list[dict[str, Any]]) -> dict[str, list[list[str | None]]]:
    """What the browser client says in Node until each case has got as far as it is to."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    command = (node, "--no-warnings", "--experimental-websocket", str(REASONS), json.dumps(cases))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    said: dict[str, list[list[str | None]]] = {}
    try:
        async with asyncio.timeout(SOON_S):
            while line := await process.stdout.readline():
                shown = json.loads(line)
                said[shown["name"]] = shown["said"]
    except TimeoutError:
        pytest.fail(f"not so far: {[case['name'] for case in cases if case['name'] not in said]}")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return said


async def test_the_clients_say_why_a_connection_does_not_work(
    mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    alice, long = token("alice"), token("alice", pad="x" * LONG)
    async with running(settings_for(mongo_url, database_name)) as relay:
        address = urlsplit(relay.url).netloc
        with nginx(tmp_path, address) as proxy, another_server() as other:
            direct, behind = f"ws://{address}", f"ws://127.0.0.1:{proxy}"
            live, unavailable = ["live", None], ["offline", "token_unavailable"]

            def case(
                name: str, url: str, token: str, *until: list[str | None], **more: Any
            ) -> dict[str, Any]:
                return {"name": name, "url": url, "token": token, "until": until, **more}

            said = await said_by_browser_client([
                # The address and what is in between.
                case("no WebSocket", f"{direct}/ws", alice, ["polling", "no_websocket"], hasNoSocket=True),
                case("a proxy without Upgrade", f"{behind}/ws", alice, ["polling", "blocked"]),
                case("only /ws is wrong", f"{direct}/socket", alice, ["polling", "not_found"]),
                case("a wrong path", f"{direct}/live/ws", alice, ["offline", "not_found"]),
                case("another server", f"ws://127.0.0.1:{other}/ws", alice, ["offline", "not_found"]),
                case("a redirect", f"{behind}/moved/ws", alice, ["offline", "not_found"]),
                case("nobody", f"ws://127.0.0.1:{free_port()}/ws", alice, ["offline", "network"]),
                # The token.
                case("a long token", f"{behind}/good/ws", long, live),
                case("a token that is no subprotocol", f"{behind}/good/ws", f"{alice}=", live),
                case("a token too long for polls", f"{behind}/ws", long, ["offline", "bad_token"]),
                case("a function that throws", f"{direct}/ws", "throws", unavailable, live, then=alice),
                case("null at first", f"{direct}/ws", "null", ["offline", "no_token"], live, then=alice),
                case("another token", f"{direct}/ws", "a.b.c", ["offline", "unauthenticated"], live, then=alice),
            ])  # fmt: skip
            assert said.pop("another token") == [["offline", "unauthenticated"], live]
            assert said.pop("null at first") == [["offline", "no_token"], live]
            assert said.pop("a function that throws") == [unavailable, live]
            assert said.pop("a long token") == said.pop("a token that is no subprotocol") == [live]
            # On the way to the reason nothing else is claimed: until HTTP has answered, the relay is out of reach.
            for name, words in said.items():
                assert all(word == ["offline", "network"] for word in words[:-1]), name

            for url, refused in (
                (f"{behind}/ws", (426, "blocked")),
                (f"{direct}/live", (404, "not_found")),
                (f"ws://127.0.0.1:{other}", (200, "not_found")),
            ):
                async with connect(url, alice) as client:
                    with pytest.raises(ConnectionRefused) as refusal:
                        await anext(client)
                assert (refusal.value.code, refusal.value.reason) == refused
            async with connect(f"{behind}/good", long) as client:
                async for item in client:
                    if isinstance(item, Message):
                        assert item.type == "welcome"
                        break

"""The files of the pages over HTTP: compressed, conditional, and for good where the address names their content."""

from __future__ import annotations

import asyncio
import gzip
import re
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from support.relay_fixture import running

IMMUTABLE = "public, max-age=31536000, immutable"


async def ask(url: str, *, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    """Send a request, and return the response and its body as it was sent."""

    def send() -> tuple[HTTPResponse, bytes]:
        parts = urlsplit(url)
        connection = HTTPConnection(parts.netloc, timeout=30)
        try:
            connection.putrequest(method, parts.path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    return await asyncio.to_thread(send)


async def test_a_public_module_is_compressed_and_asked_for_again_by_its_tag(with_: Any) -> None:
    async with running(with_()) as relay:
        for path in ("/client/index.js", "/view/index.js", "/react/index.js", "/dashboard/index.html", "/"):
            url = relay.url + path
            plain, body = await ask(url)
            assert (plain.status, plain.getheader("content-encoding")) == (200, None), path
            assert plain.getheader("cache-control") == "no-cache"
            assert "Accept-Encoding" in plain.getheader("vary", "")
            smaller, compressed = await ask(url, Accept_Encoding="br, gzip;q=0.5")
            assert smaller.getheader("content-encoding") == "gzip"
            assert smaller.getheader("content-length") == str(len(compressed))
            assert gzip.decompress(compressed) == body
            tag = plain.getheader("etag", "")
            assert tag == smaller.getheader("etag")
            for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
                again, nothing = await ask(url, If_None_Match=known, Accept_Encoding="gzip")
                assert (again.status, nothing) == (304, b""), known
                assert (again.getheader("etag"), again.getheader("cache-control")) == (tag, "no-cache")
                assert "Accept-Encoding" in again.getheader("vary", "")
            assert (await ask(url, If_None_Match='"other"'))[0].status == 200
            assert (await ask(url, Accept_Encoding="gzip;q=0"))[0].getheader("content-encoding") is None
            head, nothing = await ask(url, method="HEAD")
            assert (head.status, head.getheader("content-length"), nothing) == (200, str(len(body)), b"")
            assert (await ask(url, method="POST"))[0].status == 405


async def test_what_the_page_loads_is_kept_for_good_because_its_address_names_its_content(with_: Any) -> None:
    async with running(with_()) as relay:
        _, page = await ask(f"{relay.url}/")
        addresses = re.findall(r'(?:href|src)="(assets/[^"]+)"', page.decode())
        assert len(addresses) == 4
        for address in [*addresses, re.sub("app.js$", "app.js.map", addresses[-1])]:
            response, body = await ask(f"{relay.url}/{address}")
            assert (response.status, response.getheader("cache-control")) == (200, IMMUTABLE), address
            # A relay of another version beside this one has sent the page. So the browser has to ask again.
            other, same = await ask(re.sub("assets/[0-9a-f]+", "assets/0123", f"{relay.url}/{address}"))
            assert (other.status, other.getheader("cache-control"), same) == (200, "no-cache", body)


async def test_two_relays_serve_the_page_under_the_same_addresses(with_: Any) -> None:
    async with running(with_()) as one, running(with_()) as two:
        assert (await ask(f"{one.url}/"))[1] == (await ask(f"{two.url}/"))[1]


NOTHING = (
    *(
        "/client",
        "/client/",
        "/client/nothing.js",
        "/client/../app.py",
        "/client/%00",
        "/dashboard",
        "/assets",
    ),
    *("/assets/0123", "/assets/0123/", "/assets/0123/client", "/assets/0123/../../app.py"),
    *("/assets/0123/admin/index.html", "/types/client/index.d.ts"),
)


async def test_nothing_else_is_served(with_: Any) -> None:
    async with running(with_()) as relay:
        found = {path: (await ask(relay.url + path))[0].status for path in NOTHING}
    assert found == dict.fromkeys(NOTHING, 404)

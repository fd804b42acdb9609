"""The page of operators is served on the admin port, by a relay of one process and by the parent of two workers."""

from __future__ import annotations

import asyncio
import re
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.administrators import administered
from support.worker_processes import fetch

OUTSIDE = ("react/index.js", "client/index.js", "admin/../../config.py", "admin/%2e%2e/%2e%2e/config.py", "")


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_the_page_is_on_the_admin_port_only(
    two_workers: dict[str, str], tmp_path: Path, processes: str
) -> None:
    async with administered(tmp_path, **two_workers | {"RELAY_WORKERS": processes}) as asked:
        page = await asked.ask("/admin/")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "script-src 'self'; style-src 'self'" in page.headers["content-security-policy"]
        _, body = await asyncio.to_thread(fetch, f"{asked.admin_url}/admin/")
        files = re.findall(r'(?:src|href)="([^"]*)"', body.decode())
        assert len(files) >= 5
        for file in files:
            assert (await asyncio.to_thread(fetch, f"{asked.admin_url}/admin/{file}"))[0] == 200, file
        for path in ("/admin", "/admin/", "/admin/static/admin/admin.js"):
            assert (await asyncio.to_thread(fetch, asked.relay.url + path))[0] == 404, path
        for path in OUTSIDE:
            url = f"{asked.admin_url}/admin/static/{path}"
            assert (await asyncio.to_thread(fetch, url))[0] == 404, path


async def test_the_address_without_a_slash_leads_to_the_page_whatever_host_the_request_names(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with administered(tmp_path, **two_workers | {"RELAY_WORKERS": "1"}) as asked:
        status, location = await asyncio.to_thread(redirection, asked.admin_url, "/admin?user=a%26b")
        assert (status, location) == (307, "admin/?user=a%26b")


def redirection(url: str, path: str) -> tuple[int, str | None]:
    """The status and the header Location of the answer to a request that names another host."""
    connection = HTTPConnection(urlsplit(url).netloc)
    try:
        connection.request("GET", path, headers={"Host": "evil.example"})
        answer = connection.getresponse()
        return answer.status, answer.getheader("location")
    finally:
        connection.close()

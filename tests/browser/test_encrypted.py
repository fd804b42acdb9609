"""The dashboard of a relay that serves TLS itself, over WebSocket and over polls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dashboard import connection
from playwright.sync_api import expect
from support.certificates import Authority
from support.relay_fixture import token


@pytest.mark.parametrize("how", ["live", "polling"])
def test_the_page_follows_a_relay_that_serves_tls(site: Any, tmp_path: Path, how: str) -> None:
    site.restart(relay_tls_cert=Authority(tmp_path).issue("relay"))
    assert site.url.startswith("https://")
    page = site.another(ignore_https_errors=True)
    if how == "polling":
        page.add_init_script("delete window.WebSocket")
    page.goto(f"{site.url}/#token={token('alice')}")
    expect(connection(page, how)).to_be_visible()
    task_id = site.tasks.insert_one({"title": "Encrypted", "createdBy": "alice", "events": [1]}).inserted_id
    page.locator(f'li[data-task-id="{task_id}"]').click()
    expect(page.locator("[data-event-index]")).to_have_count(1)
    site.tasks.update_one({}, {"$push": {"events": 2}})
    expect(page.locator("[data-event-index]")).to_have_count(2)

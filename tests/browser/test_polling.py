"""The dashboard in a real browser, on a network that knows no WebSocket."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect
from support.relay_fixture import token

SOON_MS = 15_000  # a bound for what takes milliseconds, on a noisy machine

BLOCKED = """
    const Real = WebSocket;
    let blocked = true;
    window.WebSocket = function (...args) {
        if (!blocked) return new Real(...args);
        const broken = { close() {} };
        setTimeout(() => broken.onclose?.({ code: 1006, reason: "" }));
        return broken;
    };
    window.unblock = () => {
        blocked = false;
        dispatchEvent(new Event("online"));
    };
"""


def test_shows_everything_over_polls_until_a_websocket_can_be_had(site: Any) -> None:
    page = site.page
    page.set_default_timeout(SOON_MS)
    expect.set_options(timeout=SOON_MS)
    page.add_init_script(BLOCKED)
    task_id = str(
        site.tasks.insert_one({"title": "Over polls", "createdBy": "alice", "events": [1]}).inserted_id
    )
    page.goto(f"{site.url}/#token={token('alice')}")
    polling, live = (page.locator(f'[data-connection="{state}"]') for state in ("polling", "live"))
    expect(polling).to_be_visible()
    page.locator(f'li[data-task-id="{task_id}"]').click()
    expect(page.locator("[data-event-index]")).to_have_count(1)
    # When something changes while polls are all there is, it is shown,
    site.tasks.update_one({}, {"$push": {"events": {"type": "dispatched"}}, "$set": {"status": "dispatched"}})
    expect(page.locator("[data-event-index]")).to_have_count(2)
    expect(page.locator(f'li[data-task-id="{task_id}"] [data-status="dispatched"]')).to_be_visible()
    expect(polling).to_be_visible()
    # and from where that left off, what changes when there is a WebSocket again.
    page.evaluate("unblock()")
    expect(live).to_be_visible()
    site.tasks.update_one({}, {"$push": {"events": 3}})
    expect(page.locator("[data-event-index]")).to_have_count(3)

"""The dashboard on a network that blocks WebSocket."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect
from support.relay_fixture import token

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


def test_the_page_shows_everything_over_polls_until_a_websocket_opens(site: Any) -> None:
    page = site.page
    page.add_init_script(BLOCKED)
    task_id = str(
        site.tasks.insert_one({"title": "Over polls", "createdBy": "alice", "events": [1]}).inserted_id
    )
    page.goto(f"{site.url}/#token={token('alice')}")
    polling, live = (page.locator(f'[data-connection="{state}"]') for state in ("polling", "live"))
    expect(polling).to_be_visible()
    page.locator(f'li[data-task-id="{task_id}"]').click()
    expect(page.locator("[data-event-index]")).to_have_count(1)
    # When something changes while only polls work, it is shown,
    site.tasks.update_one({}, {"$push": {"events": {"type": "dispatched"}}, "$set": {"status": "dispatched"}})
    expect(page.locator("[data-event-index]")).to_have_count(2)
    expect(page.locator(f'li[data-task-id="{task_id}"] [data-status="dispatched"]')).to_be_visible()
    expect(polling).to_be_visible()
    # and so is a change after a WebSocket has opened, which continues from there.
    page.evaluate("unblock()")
    expect(live).to_be_visible()
    site.tasks.update_one({}, {"$push": {"events": 3}})
    expect(page.locator("[data-event-index]")).to_have_count(3)

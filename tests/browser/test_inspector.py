"""The panel that shows how a connection is: opened from the dashboard, and put into any page."""

from __future__ import annotations

from typing import Any

from accessibility import complaints
from dashboard import push, write_task
from playwright.sync_api import expect
from support.relay_fixture import token

TITLE = "A title that no report repeats"

PART_OF_A_PAGE = """
    async ([url, token]) => {
        const { connect } = await import("/client/index.js");
        const { mountInspector } = await import("/inspector/index.js");
        const relay = connect({ url, token: () => token });
        const place = document.body.appendChild(document.createElement("div"));
        const remove = mountInspector(relay, { into: place, lang: "de" });
        const shown = () => place.firstElementChild.shadowRoot.textContent;
        const deadline = performance.now() + 20_000;
        while (!shown().includes("websocket")) {
            if (performance.now() > deadline) return [shown(), -1];
            await new Promise((done) => setTimeout(done, 20));
        }
        const text = shown();
        remove();
        relay.close();
        return [text, place.childElementCount];
    }
"""


def test_the_dashboard_shows_how_its_connection_is_and_copies_a_report(site: Any, axe: str) -> None:
    write_task(site, title=TITLE)
    page = site.another()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    site.open(page=page)
    chip = page.locator("#connection")
    chip.click()
    page.locator("#about-connection .inspect").press("Enter")
    panel = page.locator("dialog.panel")
    expect(panel.locator("h2")).to_have_text("Connection")
    facts, messages = panel.locator("dl"), panel.locator("table").nth(2)
    expect(facts).to_contain_text("live")
    expect(facts).to_contain_text("websocket")
    expect(messages).to_contain_text("dashboard:state")

    # It keeps itself current.
    push(site, TITLE, "dispatched")
    expect(messages).to_contain_text("dashboard:task_list_updated")
    page.emulate_media(color_scheme="dark")
    assert complaints(page, axe) == []
    assert panel.evaluate("panel => getComputedStyle(panel).colorScheme") == "light dark"

    # Beside it, any page may have one.
    shown, left = page.evaluate(PART_OF_A_PAGE, [f"{site.url}/ws", token("alice")])
    assert "Verbindung" in shown
    assert "Beigetreten" in shown
    assert left == 0

    # The report has neither a token nor a title. When the relay is away, the panel and the report say why.
    site.stop()
    expect(panel.locator("table").nth(1)).to_contain_text("network")
    panel.get_by_role("button", name="Copy as a report").click()
    expect(panel.get_by_role("status")).to_have_text("Copied")
    text = page.evaluate("navigator.clipboard.readText()")
    assert "offline  network" in text
    assert "dashboard:task_list_updated" in text
    assert not [secret for secret in (TITLE, "eyJ", "about dispatched") if secret in text]

    # Where the browser gives no clipboard, the text is there to be copied by hand.
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    panel.get_by_role("button", name="Copy as a report").click()
    assert panel.locator("textarea").input_value().startswith("Relay client, ")

    # A key that closes it does nothing else, and the focus is where it was.
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(chip).to_be_focused()

"""Signing in, several tabs, and what the page does when a sign-in expires."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from dashboard import SOON_MS, connection, detail, open_row, row, try_now, until, write_task
from office import REFUSING
from playwright.sync_api import Page, WebSocketRoute, expect
from support.relay_fixture import SECRET, token

from relay.gateway import session

NEW_SECRET = "another secret for tests, as long as the first"


def test_the_token_of_the_fragment_signs_in_and_leaves_the_address(page: Page, site: Any) -> None:
    site.open()
    assert page.url == f"{site.url}/"
    page.reload()
    expect(connection(page, "live")).to_be_visible()


def test_the_page_says_how_to_sign_in(page: Page, site: Any) -> None:
    page.goto(site.url)
    expect(connection(page, "offline")).to_have_text("Signed out")
    expect(page.locator("#notice")).to_contain_text("#token=")
    expect(page.locator("#banner")).to_be_hidden()


def test_the_page_shows_signed_out_while_a_refused_token_is_tried_again(page: Page, site: Any) -> None:
    """The token may become valid later, as when a secret is replaced in the application first."""
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto(f"{site.url}/#token=not.a.token")
    expect(connection(page, "offline")).to_have_text("Signed out")
    page.evaluate(
        """() => {
            const chip = document.querySelector(".chip-label"), notice = document.querySelector("#notice h2");
            window.shown = new Set();
            const note = () => window.shown.add(`${chip.textContent} ${notice.textContent}`);
            new MutationObserver(note).observe(document.body, { childList: true, subtree: true, characterData: true });
            note();
        }"""
    )
    until(lambda: tried(page, sockets, 3), "it is tried again")
    assert page.evaluate("[...shown]") == ["Signed out Signed out"]


def tried(page: Page, sockets: list[str], times: int) -> bool:
    page.evaluate("0")  # Playwright processes events of sockets only during a call
    return len(sockets) >= times


def test_the_page_continues_when_the_relay_accepts_the_token_later(page: Page, site: Any) -> None:
    """Regression: the application signed with a new secret before the relay had it, and the page stopped for good."""
    task_id = write_task(site)
    page.goto(f"{site.url}/#token={token('alice', secret=NEW_SECRET)}")
    expect(connection(page, "offline")).to_have_text("Signed out")
    site.restart(relay_jwt_secret=NEW_SECRET)
    expect(row(page, task_id)).to_be_visible(timeout=3 * SOON_MS)


def test_another_sign_in_link_signs_in_again(page: Page, site: Any) -> None:
    task_id = write_task(site)
    page.goto(f"{site.url}/#token=not.a.token")
    expect(connection(page, "offline")).to_have_text("Signed out")
    page.goto(f"{site.url}/#token={token('alice')}")
    expect(row(page, task_id)).to_be_visible()


def test_two_users_see_their_own_lists(page: Page, site: Any) -> None:
    of_alice, of_bob = write_task(site), write_task(site, createdBy="bob")
    other = site.open("bob", page=site.another())
    site.open("alice")
    expect(row(page, of_alice)).to_be_visible()
    expect(row(other, of_bob)).to_be_visible()
    assert (row(page, of_bob).count(), row(other, of_alice).count()) == (0, 0)


def test_the_page_stays_readable_when_the_sign_in_expires_and_continues_with_a_fresh_link(
    page: Page, site: Any
) -> None:
    task_id = write_task(site, title="Long work")
    with patch.object(session, "NOTICE_S", 3600):  # the relay warns at once of the end of this sign-in
        site.open()
    expect(page.locator("#banner")).to_contain_text("sign-in ends in a moment")
    open_row(page, task_id)
    site.let_expire()
    expect(connection(page, "offline")).to_have_text("Signed out")
    expect(page.locator("#banner")).to_contain_text("fresh sign-in link")
    expect(row(page, task_id)).to_be_visible()
    site.tasks.update_one({}, {"$set": {"title": "Renamed meanwhile"}})
    page.goto(f"{site.url}/#token={token('alice')}")
    expect(connection(page, "live")).to_be_visible()
    expect(detail(page, task_id)).to_contain_text("Renamed meanwhile")
    expect(page.locator("#banner")).to_be_hidden()
    expect(page).to_have_url(f"{site.url}/#/tasks/{task_id}")


def test_only_a_tab_of_the_same_user_renews_the_sign_in(page: Page, site: Any) -> None:
    site.open()
    site.let_expire()
    expect(connection(page, "offline")).to_be_visible()
    tab = page.context.new_page()
    site.open("bob", page=tab)
    expect(connection(page, "offline")).to_be_visible()
    site.open("alice", page=tab)
    expect(connection(page, "live")).to_be_visible()


# A tab takes the answers of others for 400 ms, and for 80 ms after the first one. A busy machine may
# need longer, so here it waits until two have answered.
WAIT_FOR_TWO = """(() => {
  const { setTimeout } = window;
  let answers = 0;
  const waiting = [];
  window.setTimeout = (call, ms, ...rest) => {
    if (ms !== 80 && ms !== 400) return setTimeout(call, ms, ...rest);
    waiting.push(call);
    if (ms === 80 && ++answers === 2) waiting.forEach((call) => call());
  };
})()"""


def test_a_new_tab_is_signed_in_by_the_tab_that_was_used_last(page: Page, site: Any) -> None:
    """As for a link to a task that is opened in a new tab."""
    of_alice, of_bob = write_task(site), write_task(site, createdBy="bob")
    bob = page.context.new_page()
    site.open("bob", page=bob)
    site.open("alice")
    for used, task_id in ((bob, of_bob), (page, of_alice)):
        used.bring_to_front()
        used.locator("h1").click()
        tab = page.context.new_page()
        tab.add_init_script(WAIT_FOR_TWO)
        tab.goto(f"{site.url}/#/tasks/{task_id}")
        expect(detail(tab, task_id)).to_be_visible()
        tab.close()


def test_a_tab_takes_no_token_of_another_user_from_another_tab(page: Page, site: Any) -> None:
    site.open("alice")
    site.let_expire("alice")
    expect(connection(page, "offline")).to_have_text("Signed out")
    tab = page.context.new_page()
    site.open("bob", page=tab)
    page.reload()
    expect(connection(page, "offline")).to_have_text("Signed out")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(connection(page, "offline")).to_have_text("Signed out")


def test_a_browser_that_refuses_storage_and_channels_still_signs_in(page: Page, site: Any) -> None:
    task_id = write_task(site)
    page.add_init_script(REFUSING)
    page.goto(f"{site.url}/#token={token('alice')}")
    expect(row(page, task_id)).to_be_visible()
    open_row(page, task_id)


def test_the_page_says_that_the_feature_is_off_and_stops_trying(page: Page, site: Any) -> None:
    page.route_web_socket("**/ws**", lambda socket: socket.close(code=4502, reason="feature_disabled"))
    page.goto(f"{site.url}/#token={token('alice')}")
    expect(connection(page, "refused")).to_have_text("Switched off")
    expect(page.locator("#notice")).to_contain_text("not switched on for you")
    expect(page.locator("#banner")).to_be_hidden()


def test_a_user_outside_of_the_rollout_is_told_so_and_gets_the_list_once_inside(
    page: Page, site: Any
) -> None:
    task_id = write_task(site)
    site.restart(feature_websocket_percent=0, relay_help_url="/help")
    page.goto(f"{site.url}/#token={token('alice')}")
    expect(connection(page, "refused")).to_have_text("Switched off")
    notice = page.locator("#notice")
    expect(notice).to_contain_text("not switched on for you")
    expect(notice.get_by_role("link", name="Ask for access")).to_have_attribute("href", "/help")
    site.restart(feature_websocket_percent=100)
    try_now(page)
    expect(row(page, task_id)).to_be_visible()


def test_a_disconnected_user_sees_who_did_it_and_comes_back_with_a_button(page: Page, site: Any) -> None:
    sockets = forwarded_sockets(page)
    task_id = write_task(site)
    site.open()
    expect(row(page, task_id)).to_be_visible()
    sockets[-1].close(code=4403, reason="disconnected")
    expect(connection(page, "offline")).to_have_text("Disconnected")
    expect(page.locator("#banner p")).to_have_text("An administrator disconnected you.")
    expect(row(page, task_id)).to_be_visible()
    assert len(sockets) == 1
    page.get_by_role("button", name="Reconnect").click()
    expect(connection(page, "live")).to_be_visible()
    expect(page.locator("#banner")).to_be_hidden()


def test_a_disconnected_user_without_a_list_sees_the_notice_in_its_place(page: Page, site: Any) -> None:
    ends = [True]
    page.route_web_socket(
        "**/ws**",
        lambda socket: (
            socket.close(code=4403, reason="disconnected") if ends.pop() else socket.connect_to_server()
        ),
    )
    page.goto(f"{site.url}/#token={token('alice')}")
    notice = page.locator("#notice")
    expect(notice).to_contain_text("An administrator disconnected you.")
    expect(page.locator("#banner")).to_be_hidden()
    ends.append(False)
    notice.get_by_role("button", name="Reconnect").click()
    expect(connection(page, "live")).to_be_visible()


def test_a_fresh_sign_in_link_in_another_tab_brings_a_disconnected_user_back_and_the_same_one_does_not(
    page: Page, site: Any
) -> None:
    sockets = forwarded_sockets(page)
    first = token("alice")
    page.goto(f"{site.url}/#token={first}")
    expect(connection(page, "live")).to_be_visible()
    sockets[-1].close(code=4403, reason="disconnected")
    expect(connection(page, "offline")).to_be_visible()
    tab = page.context.new_page()
    tab.goto(f"{site.url}/#token={first}")
    expect(connection(tab, "live")).to_be_visible()
    expect(connection(page, "offline")).to_have_text("Disconnected")
    tab.goto(f"{site.url}/#token={token('alice', ttl_s=300)}")
    expect(connection(page, "live")).to_be_visible()


def forwarded_sockets(page: Page) -> list[WebSocketRoute]:
    """The page's WebSockets, in the order they open. Each is connected to the relay, and the test can close it."""
    sockets: list[WebSocketRoute] = []

    def forward(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket("**/ws**", forward)
    return sockets


# Where a text is: in an element, an attribute, a field or the title.
PLACES_OF = """(text) => [...document.querySelectorAll("*")].flatMap((element) => [
    ...[...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map(({ data }) => data),
    ...[...element.attributes].map(({ name, value }) => `${name}=${value}`),
    ...(element instanceof HTMLInputElement ? [element.value] : []),
]).filter((each) => each.includes(text))"""


def test_nothing_of_a_user_is_left_in_the_page_of_the_next_one(page: Page, site: Any) -> None:
    # Given a page that shows a user's task in every way it has: opened, announced, in a saved view,
    of_bob = write_task(site, title="Of bob", createdBy="bob")
    task_id = write_task(
        site, title="Salaries", questions=["Salaries?"], events=[{"type": "log", "text": "Salaries"}]
    )
    views = '[{"name": "Salaries", "text": "salaries", "section": null}]'
    page.add_init_script(f"localStorage.setItem('relay.v1.alice.views', '{views}')")
    site.open("alice")
    open_row(page, task_id)
    site.tasks.update_one({"title": "Salaries"}, {"$set": {"status": "clarification_needed"}})
    expect(page.locator("#said")).to_contain_text("Salaries")
    page.locator("#views-button").click()
    assert len(page.evaluate(PLACES_OF, "Salaries")) >= 5
    page.keyboard.press("Escape")
    page.locator("#search").fill("a search of alice")
    page.evaluate("name => void (location.hash = `/tasks/${name}`)", task_id)
    # when another user's link is opened in it, whom the relay does not accept, or does,
    for secret, state in ((NEW_SECRET, "offline"), (SECRET, "live")):
        other = token("bob", secret=secret)
        page.evaluate("token => void (location.hash = `token=${token}`)", other)
        expect(connection(page, state)).to_be_visible()
        page.locator("#views-button").click()
        # then nothing of the first one's tasks is left in it,
        assert page.evaluate(PLACES_OF, "Salaries") == []
        page.keyboard.press("Escape")
    # and nothing of the search and the address once the next one is there.
    expect(row(page, of_bob)).to_be_visible()
    assert page.evaluate(PLACES_OF, "a search of alice") == []
    expect(page).to_have_url(f"{site.url}/")

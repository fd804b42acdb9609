"""The page of operators: signing in, what it shows of connections, and how it stays up to date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from admin_page import admin_token, open_admin, rows, users
from dashboard import detail, open_row, row, try_now, write_task
from page_clocks import stop_clock
from playwright.sync_api import Page, Request, Route, expect
from support.browser_site import EXPIRES_IN_S, Site
from support.relay_fixture import token

DAY_S = 86_400  # tokens that are made when the tests are collected have to last until they run
REFUSALS = "the server responded with a status of 40"  # what Chromium writes about a 401 or a 403


@pytest.fixture
def site(site: Site) -> Iterator[Site]:
    yield site
    site.console = [line for line in site.console if REFUSALS not in line]


def test_a_pasted_token_signs_in_and_stays_in_this_tab(page: Page, site: Site) -> None:
    page.goto(f"{site.admin_url}/admin")
    expect(page.locator("#token")).to_be_focused()
    page.keyboard.type(f" {admin_token()} ")
    page.keyboard.press("Enter")
    expect(page.locator("#health")).to_have_text("Ready")
    page.reload()
    expect(page.locator("#health")).to_have_text("Ready")
    assert admin_token()[:20] not in page.content()
    other = page.context.new_page()
    other.goto(f"{site.admin_url}/admin")
    expect(other.locator("#sign-in")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#sign-in")).to_be_visible()
    page.reload()
    expect(page.locator("#sign-in")).to_be_visible()


def test_the_token_of_the_fragment_signs_in_and_leaves_the_address_and_the_history(
    page: Page, site: Site
) -> None:
    open_admin(page, site, "?user=alice")
    assert page.url == f"{site.admin_url}/admin/?user=alice"
    assert page.evaluate("history.length") <= 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("not.a.token", "The relay does not accept this token."),
        (
            token("root", ttl_s=DAY_S, secret="another secret, as long as the first", roles=["admin"]),
            "does not accept",
        ),
        (token("root", ttl_s=-10, roles=["admin"]), "This token has expired."),
        (token("alice", ttl_s=DAY_S, roles=["viewer"]), "it lacks the claim that RELAY_ADMIN_CLAIM asks for"),
        ("tökén", "it has characters that no token has"),
    ],
    ids=["no token", "another key", "expired", "no administrator", "no ASCII"],
)
def test_the_page_says_in_words_why_a_token_is_refused(
    page: Page, site: Site, text: str, sentence: str
) -> None:
    page.goto(f"{site.admin_url}/admin")
    page.locator("#token").fill(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    expect(page.locator("#token")).to_be_focused()
    expect(page.locator("#page")).to_be_hidden()
    page.keyboard.type(admin_token())
    page.keyboard.press("Enter")
    expect(page.locator("#health")).to_have_text("Ready")


def test_a_token_that_expires_leads_back_to_the_sign_in_and_shows_nobody_any_more(
    page: Page, site: Site
) -> None:
    site.open("alice", page=site.another())
    open_admin(page, site)
    expect(rows(page, "alice")).to_have_count(1)
    page.goto(f"{site.admin_url}/admin/#token={admin_token(ttl_s=EXPIRES_IN_S)}")
    expect(page.get_by_role("alert")).to_contain_text("This token has expired.")
    expect(page.locator("#page")).to_be_hidden()
    assert "alice" not in page.content()


def test_the_table_follows_who_connects_and_who_leaves(page: Page, site: Site) -> None:
    open_admin(page, site)
    expect(page.locator("#nobody")).to_have_text("Nobody is connected.")
    alice = site.open("alice", page=site.another())
    expect(rows(page, "alice")).to_have_count(1)
    cells = rows(page, "alice").first
    expect(cells.locator("[data-column=transport]")).to_have_text("websocket")
    expect(cells.locator("[data-column=address]")).to_have_text("127.0.0.1")
    expect(cells.locator("[data-column=path]")).to_have_text("/ws/dashboard")
    expect(cells.locator("[data-column=list]")).to_have_text("yes")
    expect(cells.locator("[data-column=tasks]")).to_have_text("0")
    task_id = write_task(site)
    expect(row(alice, task_id)).to_be_visible()
    open_row(alice, task_id)
    expect(cells.locator("[data-column=tasks]")).to_have_text("1")
    stats = page.locator("#stats")
    expect(stats.locator("div", has_text="Connections").locator("dd")).to_have_text("1")
    expect(stats.locator("div", has_text="Open tasks").locator("dd")).to_have_text("1")
    alice.close()
    expect(rows(page)).to_have_count(0)
    expect(page.locator("#nobody")).to_be_visible()


def test_the_filter_is_in_the_address_and_back_removes_it(page: Page, site: Site) -> None:
    for user in ("alice", "bob", "alice"):
        site.open(user, page=site.another())
    open_admin(page, site)
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("/")
    page.keyboard.type("alice")
    page.keyboard.press("Enter")
    expect(page.locator("#shown")).to_have_text("2 of alice")
    expect(page.locator("#said")).to_have_text("Connections: 2 of alice.")
    expect(rows(page, "bob")).to_have_count(0)
    assert page.url.endswith("/admin/?user=alice")
    page.reload()
    expect(page.locator("#shown")).to_have_text("2 of alice")
    expect(page.locator("#user")).to_have_value("alice")
    page.go_back()
    expect(rows(page)).to_have_count(3)
    rows(page, "bob").get_by_role("button", name="bob", exact=True).click()
    expect(page.locator("#shown")).to_have_text("1 of bob")
    page.locator("#user").fill("")
    expect(rows(page)).to_have_count(3)


def test_a_column_sorts_by_its_head_and_says_so(page: Page, site: Site) -> None:
    for user in ("carol", "alice", "bob"):
        site.open(user, page=site.another())
    open_admin(page, site)
    expect(rows(page)).to_have_count(3)
    assert users(page) == ["carol", "alice", "bob"]  # the oldest first
    expect(page.locator("th[aria-sort]")).to_have_attribute("data-column", "since")
    head = page.get_by_role("columnheader", name="User")
    head.get_by_role("button").click()
    assert users(page) == ["alice", "bob", "carol"]
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.get_by_role("button").click()
    assert users(page) == ["carol", "bob", "alice"]
    page.reload()
    expect(rows(page)).to_have_count(3)
    assert users(page) == ["carol", "bob", "alice"]


def test_a_task_shows_who_listens_to_it(page: Page, site: Site) -> None:
    task_id = write_task(site)
    alice = site.open("alice", page=site.another())
    open_admin(page, site)
    page.get_by_label("Who listens to the task").fill(task_id)
    page.keyboard.press("Enter")
    listeners = page.locator("#task")
    expect(listeners).to_contain_text("Nobody listens to it")
    expect(listeners.get_by_role("heading")).to_be_focused()
    open_row(alice, task_id)
    expect(detail(alice, task_id)).to_be_visible()
    expect(listeners.get_by_role("listitem")).to_contain_text(re.compile("alice.*live.*websocket"))
    assert f"task={task_id}" in page.url
    listeners.get_by_role("button", name="Close the task").click()
    expect(listeners).to_be_hidden()


def test_the_page_shows_each_worker_and_which_ones_do_not_answer(page: Page, site: Site) -> None:
    def two_workers(route: Route) -> None:
        one = {"ready": True, "stale": False, "lagMs": 82, "connections": 14}
        silent = {"ready": False, "stale": True, "lagMs": None, "connections": 0}
        workers = [{"worker": 1} | one, {"worker": 2} | silent]
        answered = route.fetch().json() | {"ready": False, "stale": False}
        route.fulfill(json=answered | {"workers": workers, "unanswered": [2]})

    page.route("**/admin/stats", two_workers)
    page.goto(f"{site.admin_url}/admin#token={admin_token()}")
    expect(page.locator("#health")).to_have_text("Not ready")
    expect(page.locator("#workers li")).to_have_text(
        ["Worker 1: ready, 14 connections, lag 82 ms", "Worker 2: no answer"]
    )


def test_an_answer_that_says_the_same_changes_nothing_in_the_page(page: Page, site: Site) -> None:
    """A thousand rows: the page must not make work for itself every two seconds."""
    connections = [connection_of(number) for number in range(1000)]
    page.route("**/admin/connections*", lambda route: answer(route, connections))
    open_admin(page, site)
    expect(rows(page)).to_have_count(200)
    page.get_by_role("button", name="Show up to 1,000").click()
    expect(rows(page)).to_have_count(1000)
    expect(page.locator("#connections-title")).to_be_focused()
    page.evaluate(
        """() => { window.changes = 0;
          new MutationObserver((all) => { changes += all.length }).observe(document.querySelector("#connections"),
            { childList: true, subtree: true, characterData: true, attributes: true }); }"""
    )
    with page.expect_response("**/admin/connections*"), page.expect_response("**/admin/connections*"):
        pass
    with page.expect_response("**/admin/connections*"):
        pass
    assert page.evaluate("changes") == 0


def test_rows_keep_their_focus_and_place_while_somebody_works_in_the_table(page: Page, site: Site) -> None:
    connections = [connection_of(number) for number in range(60)]
    page.route("**/admin/connections*", lambda route: answer(route, connections))
    open_admin(page, site)
    expect(rows(page)).to_have_count(60)
    # Given a reader whose focus and pointer are on a row far below, and moved just now,
    stop_clock(page)
    button = page.get_by_role("button", name="Disconnect user-40", exact=True)
    button.hover()
    button.focus()
    place = button.bounding_box()
    # when the rows before and after it end, and a new one comes,
    connections[:] = [connection_of(119), connections[40]]
    expect(rows(page)).to_have_count(2)
    # then the row stays where it is, the ended ones are marked, and the new one is at the end.
    assert button.bounding_box() == place
    assert page.locator("#connections tr.gone").count() == 59
    expect(page.get_by_role("button", name="Disconnect user-39", exact=True)).to_have_attribute(
        "aria-disabled", "true"
    )
    # When the pointer leaves the table, the ended ones go, and the focus stays.
    page.mouse.move(1, 1)
    expect(page.locator("#connections tr.gone")).to_have_count(0)
    expect(button).to_be_focused()
    assert users(page) == ["user-40", "user-119"]
    # When the row with the focus ends as well, the next one gets it.
    del connections[1]
    expect(page.get_by_role("button", name="Disconnect user-119", exact=True)).to_be_focused()


def test_the_page_says_that_the_relay_does_not_answer_and_goes_on_when_it_does(
    page: Page, site: Site
) -> None:
    site.open("alice", page=site.another())
    open_admin(page, site)
    expect(rows(page, "alice")).to_have_count(1)
    site.stop()
    expect(page.locator("#banner")).to_contain_text("cannot be reached")
    expect(page.locator("#banner")).to_contain_text("What you see is from")
    expect(page.locator("#said")).to_contain_text("cannot be reached")
    expect(page.locator("#health")).to_have_text("No answer")
    assert "alice" in users(page)
    site.start()
    try_now(page)
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#health")).to_have_text("Ready")


def test_a_hidden_page_asks_for_nothing(page: Page, site: Site) -> None:
    open_admin(page, site)
    asked: list[Request] = []
    set_hidden(page, True)
    page.on("request", lambda request: asked.append(request))
    page.wait_for_timeout(5_000)  # the time in which nothing happens
    assert asked == []
    with page.expect_request("**/admin/stats"):
        set_hidden(page, False)


def test_names_of_users_never_become_html(page: Page, site: Site) -> None:
    hostile = "<img src=x onerror='document.title=1'>"
    site.open(hostile, page=site.another())
    open_admin(page, site)
    expect(rows(page, hostile)).to_have_count(1)
    rows(page).get_by_role("button", name=hostile, exact=True).click()
    expect(page.locator("#shown")).to_have_text(f"1 of {hostile}")
    rows(page).get_by_role("button", name=re.compile("^Disconnect")).click()
    page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    expect(page.locator("#result")).to_contain_text(f"{hostile} is disconnected: 1 connection ended.")
    assert page.locator("img").count() == 0
    expect(page).to_have_title("Relay: connections")


def connection_of(number: int) -> dict[str, Any]:
    return {
        "id": f"{number:016x}",
        "user": f"user-{number}",
        "transport": "websocket",
        "address": "127.0.0.1",
        "path": "/ws",
        "since": f"2026-05-01T12:00:{number % 60:02}.000Z",
        "list": False,
        "tasks": number,
        "lagging": False,
        "outboxBytes": 0,
        "messagesIn": 1,
        "messagesOut": number,
    }


def answer(route: Route, connections: list[dict[str, Any]]) -> None:
    """Answer in place of the relay, which would need a thousand clients for it."""
    limit = int(re.findall(r"limit=(\d+)", route.request.url)[0])
    route.fulfill(json={"connections": connections[:limit], "total": len(connections)})


def set_hidden(page: Page, hidden: bool) -> None:
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )

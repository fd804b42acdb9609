"""The dashboard gets its tokens from an application: renewal, sign-out, another user, and answers without a token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dashboard import SOON_MS, connection, detail, row, try_now, until, write_task
from office import REFUSING, Office, noted, working_office
from playwright.sync_api import Page, expect
from support import office_application
from support.browser_site import EXPIRES_IN_S
from support.office_application import Application, Mode, running_application
from support.relay_fixture import token
from test_attention import HIDE, SHOW

SHORT_S = 8  # tokens of this life are renewed every four seconds


@pytest.fixture
def office(site: Any, tmp_path: Path) -> Iterator[Office]:
    with working_office(site, tmp_path) as office:
        yield office


@pytest.mark.parametrize("mode", ["text", "json", "string"])
def test_a_user_of_the_application_is_signed_in_and_stays_so_without_noticing(
    office: Office, site: Any, mode: Mode
) -> None:
    task_id = write_task(site)
    office.app.ttl_s, office.app.mode = SHORT_S, mode
    office.sign_in()
    office.page.goto(office.url)
    expect(row(office.page, task_id)).to_be_visible()
    until(lambda: len(office.app.asked) >= 3, "tokens are renewed")
    expect(connection(office.page, "live")).to_be_visible()
    assert noted(office.page) == {"connecting", "live"}
    assert set(office.app.asked) == {"alice"}
    assert office.page.evaluate("sessionStorage.length") == 0


def test_the_page_renews_while_it_polls(office: Office, site: Any) -> None:
    task_id = write_task(site)
    office.app.ttl_s = 12
    office.page.add_init_script("delete window.WebSocket")
    office.sign_in()
    office.page.goto(office.url)
    expect(row(office.page, task_id)).to_be_visible()
    expect(connection(office.page, "polling")).to_be_visible()
    office.page.evaluate("noted.clear()")
    asked = len(office.app.asked)
    until(lambda: len(office.app.asked) >= asked + 2, "tokens are renewed", within_s=60)
    assert noted(office.page) <= {"polling"}  # they are asked for before the old ones end


@pytest.mark.parametrize("refusal", [401, 403, 302])
def test_signed_out_leads_to_the_sign_in_and_back_to_the_same_task(
    office: Office, site: Any, refusal: Any
) -> None:
    task_id = write_task(site)
    office.app.refusal = refusal
    address = f"{office.url}?lang=en#/tasks/{task_id}"
    office.page.goto(address)
    expect(connection(office.page, "offline")).to_have_text("Signed out")
    expect(office.page.locator("#banner")).to_be_hidden()
    office.page.locator("#notice").get_by_role("link", name="Sign in").click()
    expect(detail(office.page, task_id)).to_be_visible()
    assert office.page.url == address
    assert office.app.returned_to == [address]


def test_a_sign_out_in_the_application_signs_all_tabs_out_and_a_sign_in_brings_them_back(
    office: Office, site: Any
) -> None:
    task_id = write_task(site)
    office.sign_in()
    office.app.ttl_s = 600
    other = office.another_tab()
    other.goto(office.url)
    expect(row(other, task_id)).to_be_visible()
    office.app.ttl_s = SHORT_S
    office.page.goto(office.url)
    expect(row(office.page, task_id)).to_be_visible()
    # When she signs out in the application,
    office.app.sign_out()
    # then all tabs say so once one of them asks, and show nothing of hers.
    for page in (office.page, other):
        expect(connection(page, "offline")).to_have_text("Signed out")
        expect(page.locator("#notice").get_by_role("link", name="Sign in")).to_be_visible()
        assert row(page, task_id).count() == 0
    # What they remembered of her stays, as for a session that ended overnight, and names no task.
    assert task_id in (marks(office) or "")
    assert "A task" not in office.page.evaluate("JSON.stringify(localStorage)")
    # When she signs in again in one tab,
    other.get_by_role("link", name="Sign in").click()
    # then both go on.
    for page in (other, office.page):
        expect(row(page, task_id)).to_be_visible()


def marks(office: Office) -> str | None:
    found: str | None = office.page.evaluate("localStorage.getItem('relay.v1 /live/ alice.marks')")
    return found


def test_a_reader_who_comes_back_to_a_tab_learns_at_once_of_the_sign_out(office: Office, site: Any) -> None:
    task_id = write_task(site)
    office.sign_in()
    office.page.goto(office.url)
    expect(row(office.page, task_id)).to_be_visible()
    # Given a tab that was hidden for two minutes, in which its user has signed out of the application,
    office.page.evaluate(HIDE)
    office.app.sign_out()
    office.page.evaluate("() => { const { now } = Date; Date.now = () => now() + 120_000; }")
    # when somebody looks at it, then nothing of hers is there, though her token is valid for minutes.
    office.page.evaluate(SHOW)
    expect(connection(office.page, "offline")).to_have_text("Signed out")
    assert row(office.page, task_id).count() == 0


def test_another_user_sees_nothing_of_the_one_before(office: Office, site: Any) -> None:
    of_alice, of_bob = write_task(site), write_task(site, createdBy="bob")
    office.app.ttl_s = SHORT_S
    office.sign_in("alice")
    office.page.goto(f"{office.url}#/tasks/{of_alice}")
    expect(detail(office.page, of_alice)).to_be_visible()
    office.page.evaluate(
        """([hers, his]) => {
            window.mixed = false;
            new MutationObserver(() => {
              const shown = (id) => document.querySelector(`li[data-task-id="${id}"]`) !== null;
              if (shown(hers) && shown(his)) window.mixed = true;
            }).observe(document.body, { childList: true, subtree: true });
        }""",
        [of_alice, of_bob],
    )
    tab = office.another_tab()
    office.sign_in("bob", tab)
    expect(row(office.page, of_bob)).to_be_visible()
    assert row(office.page, of_alice).count() == 0
    assert office.page.evaluate("window.mixed") is False
    until(lambda: marks(office) is None, "what the browser remembered of the one before is removed")
    expect(detail(office.page, of_alice)).to_have_count(0)


@pytest.mark.parametrize("mode", ["unavailable", "page"])
def test_an_application_that_has_no_token_for_a_while_signs_nobody_out(
    office: Office, site: Any, mode: Mode
) -> None:
    task_id = write_task(site)
    office.app.ttl_s = SHORT_S
    office.sign_in()
    office.page.goto(office.url)
    expect(row(office.page, task_id)).to_be_visible()
    office.app.mode = mode
    expect(connection(office.page, "offline")).to_be_visible()
    expect(office.page.locator("#banner")).to_contain_text("your application does not answer with a sign-in")
    expect(row(office.page, task_id)).to_be_visible()
    office.app.mode = "text"
    expect(connection(office.page, "live")).to_be_visible(timeout=3 * SOON_MS)
    assert "sign-in" not in noted(office.page)


# The page waits 15 s for an answer. Here it waits half a second, until a test tells the tab to be patient.
IMPATIENT = """(() => {
  const [timeout, later] = [AbortSignal.timeout.bind(AbortSignal), window.setTimeout];
  const shorter = (ms) => (ms === 15_000 && window.name !== "patient" ? 500 : ms);
  AbortSignal.timeout = (ms) => timeout(shorter(ms));
  window.setTimeout = (call, ms, ...rest) => later(call, shorter(ms), ...rest);
})()"""


def test_an_application_that_gives_no_answer_in_time_or_nonsense_signs_nobody_out(
    office: Office, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office_application, "LATE_S", 20)
    task_id = write_task(site)
    office.page.add_init_script(IMPATIENT)
    office.sign_in()
    office.app.mode = "silent"
    office.page.goto(office.url)
    notice = office.page.locator("#notice")
    unanswered = "your application does not answer with a sign-in"
    expect(notice).to_contain_text(unanswered)
    modes: tuple[Mode, ...] = ("stuck", "late", "error", "page", "unavailable")
    for mode in modes:
        asked, office.app.mode = len(office.app.asked), mode
        notice.get_by_role("button", name="Try now").click()
        until(lambda asked=asked: len(office.app.asked) > asked, f"asked again: {mode}")  # type: ignore[misc]
        expect(notice).to_contain_text(unanswered)
        expect(notice.locator(".sign-in")).to_be_hidden()
    # A redirect is a sign-in page, to which the reader is led.
    office.page.evaluate("() => void (window.name = 'patient')")
    office.app.mode = "redirect"
    try_now(office.page)
    expect(connection(office.page, "offline")).to_have_text("Signed out")
    office.app.mode = "text"
    notice.get_by_role("link", name="Sign in").click()
    expect(row(office.page, task_id)).to_be_visible()


@pytest.mark.parametrize("mode", ["redirect", "nothing"])
def test_an_answer_that_is_no_sign_in_signs_out(office: Office, mode: Mode) -> None:
    office.sign_in()
    office.app.mode = mode
    office.page.goto(office.url)
    expect(connection(office.page, "offline")).to_have_text("Signed out")


def test_a_sign_in_link_counts_in_its_tab_until_it_ends(office: Office, site: Any) -> None:
    of_alice, of_bob = write_task(site), write_task(site, createdBy="bob")
    office.sign_in("bob")
    office.page.goto(f"{office.url}#token={token('alice')}")
    expect(row(office.page, of_alice)).to_be_visible()
    office.page.reload()
    expect(row(office.page, of_alice)).to_be_visible()
    # When it ends, the user of the application is there.
    office.page.goto(f"{office.url}#token={token('alice', ttl_s=EXPIRES_IN_S)}")
    expect(row(office.page, of_bob)).to_be_visible()
    assert row(office.page, of_alice).count() == 0


def test_a_sign_in_link_is_renewed_by_the_application_for_the_same_user(office: Office, site: Any) -> None:
    task_id = write_task(site)
    office.app.ttl_s = SHORT_S
    office.sign_in("alice")
    office.page.goto(f"{office.url}#token={token('alice', ttl_s=29)}")
    expect(row(office.page, task_id)).to_be_visible()
    until(lambda: len(office.app.asked) >= 3, "the application is asked again and again", within_s=60)
    expect(connection(office.page, "live")).to_be_visible()
    assert noted(office.page) == {"connecting", "live"}


def test_a_deployment_without_a_sign_in_page_says_where_to_sign_in(site: Any, tmp_path: Path) -> None:
    with working_office(site, tmp_path, relay_sign_in_url="") as office:
        office.page.goto(office.url)
        expect(office.page.locator("#notice")).to_contain_text("Sign in to your application")
        expect(office.page.locator(".sign-in")).to_have_count(2)
        assert office.page.locator(".sign-in:visible").count() == 0
        office.sign_in(page=office.another_tab())
        office.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(connection(office.page, "live")).to_be_visible()


def test_a_user_without_tasks_learns_who_he_is_and_whom_to_ask(site: Any, tmp_path: Path) -> None:
    with working_office(site, tmp_path, relay_help_url="mailto:help@example.com") as office:
        write_task(site, createdBy="bob")
        office.sign_in("alice")
        office.page.goto(office.url)
        notice = office.page.locator("#notice")
        expect(notice).to_contain_text(re.compile("signed in as alice"))
        link = notice.get_by_role("link", name="Ask for access")
        expect(link).to_have_attribute("href", "mailto:help@example.com")


def framed(office: Office, portal: Application, page: Page | None = None) -> Page:
    """Open a page of another origin that shows the dashboard in a frame."""
    portal.page = f'<iframe src="{office.url}" width="900" height="600"></iframe>'
    page = page or office.another_tab()
    page.goto(f"http://{portal.address}/")
    return page


def test_the_dashboard_lives_in_a_frame_of_a_named_origin_without_storage(site: Any, tmp_path: Path) -> None:
    with (
        running_application() as portal,
        working_office(site, tmp_path, relay_frame_ancestors=f"http://{portal.address}") as office,
    ):
        task_id = write_task(site)
        # A browser that refuses storage in frames of other sites, and an application whose cookies arrive there.
        page = office.another_tab()
        page.add_init_script(f"if (top !== self) {REFUSING}")
        page.route("**/live-token", lambda route: route.fulfill(body=token("alice")))
        frame = framed(office, portal, page).frame_locator("iframe")
        expect(frame.locator(f'li[data-task-id="{task_id}"]')).to_be_visible()
        frame.locator(f'li[data-task-id="{task_id}"]').click()
        expect(frame.locator(f'article[data-task-id="{task_id}"]')).to_be_visible()


def test_sign_in_in_a_frame_opens_a_tab(site: Any, tmp_path: Path) -> None:
    with (
        running_application() as portal,
        working_office(site, tmp_path, relay_frame_ancestors=f"http://{portal.address}") as office,
    ):
        frame = framed(office, portal).frame_locator("iframe")
        link = frame.locator("#notice .sign-in")
        expect(link).to_have_attribute("target", "_blank")
        expect(link).to_be_visible()


def test_the_dashboard_lives_in_no_other_frame(site: Any, tmp_path: Path) -> None:
    with running_application() as portal, working_office(site, tmp_path) as office:
        page = framed(office, portal)
        until(lambda: is_refused(page), "it is refused")
        site.console[:] = [line for line in site.console if "frame-ancestors" not in line]


def is_refused(page: Page) -> bool:
    """Whether the frame shows the browser's own page of an error."""
    page.evaluate("0")  # Playwright processes events of frames only during a call
    return any(frame.url.startswith("chrome-error:") for frame in page.frames)

"""What came to need the reader while they looked elsewhere: in the title, on the app's icon, and as notifications."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard import connection, detail, row, set_status, until, write_task
from playwright.sync_api import BrowserContext, Page, expect
from support.relay_fixture import token

# A test cannot hide a page, so these scripts do what a browser does to a page that is hidden or shown.
HIDE = """() => {
  Object.defineProperty(document, "hidden", {value: true, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""
SHOW = """() => { delete document.hidden; document.dispatchEvent(new Event("visibilitychange")); }"""
# Stands for the notifications of a desktop browser, which no test can see, and for the badge of an installed app.
RECORD = """() => {
  globalThis.notified = [];
  globalThis.badges = [];
  globalThis.Notification = class extends EventTarget {
    static permission = "granted";
    constructor(title, options) {
      super();
      Object.assign(this, { title, ...options, isOpen: true });
      notified.find(({ isOpen, tag }) => isOpen && tag === options.tag)?.close();
      notified.push(this);
    }
    close() { this.isOpen = false; this.dispatchEvent(new Event("close")); }
  };
  navigator.setAppBadge = async (count) => void badges.push(count);
  navigator.clearAppBadge = async () => void badges.push(0);
}"""
# As in Chrome on Android, which has only the notifications of service workers.
NO_CONSTRUCTOR = """() => {
  globalThis.Notification = class {
    static permission = "granted";
    constructor() { throw new TypeError("Illegal constructor"); }
  };
}"""
# As of a page that was opened in the background.
HIDDEN = f"""if (location.search === "?hidden") ({HIDE})()"""
SPEAKS = """async () => (await navigator.locks.query()).held.length === 1"""
SHOWN = """() => notified.map(({ title, body, tag, isOpen }) => [title, body, tag, isOpen])"""
IN_WORKER = """async () => {
  const registration = await navigator.serviceWorker.getRegistration("dashboard/service-worker.js");
  return ((await registration?.getNotifications()) ?? []).map(({ title, body, tag }) => [title, body, tag]);
}"""
# The worker waits half a second for the answer of a tab, which is short on a busy machine.
PATIENT = """() => {
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (call, ms) => setTimeout(call, ms === 500 ? 20_000 : ms);
}"""
CLICK = """async () => {
  globalThis.opened = [];
  Clients.prototype.openWindow = async (url) => void opened.push(url);
  const [notification] = await registration.getNotifications();
  dispatchEvent(new NotificationEvent("notificationclick", { notification }));
}"""


def switch_on(page: Page) -> None:
    page.locator("#connection").click()
    page.get_by_role("switch", name="Notify me").check()
    page.keyboard.press("Escape")


@pytest.fixture
def notifying(page: Page, site: Any) -> Page:
    """A page of alice that shows notifications, which are recorded."""
    page.add_init_script(f"({RECORD})()")
    site.open()
    switch_on(page)
    return page


def test_a_notification_names_the_task_and_what_it_asks_and_goes_when_that_is_done(
    notifying: Page, site: Any
) -> None:
    for title, creator in (("Mine", "alice"), ("Other", "bob")):
        write_task(
            site, title=title, createdBy=creator, members=["alice"], questions=["Up or down?"], prNumber=7
        )
    expect(notifying.locator(".row")).to_have_count(2)
    tag = f"/ alice {site.tasks.find_one({'title': 'Mine'})['_id']}"
    notifying.evaluate(HIDE)
    set_status(site, "Other", "clarification_needed")
    set_status(site, "Mine", "clarification_needed")
    until(lambda: len(notifying.evaluate(SHOWN)) == 1, "a notification")
    assert notifying.evaluate(SHOWN) == [["Mine", "Up or down?", tag, True]]
    expect(notifying).to_have_title("(1) Tasks")
    # When it asks something else, then another one with the same tag takes its place.
    set_status(site, "Mine", "pr_opened")
    until(lambda: len(notifying.evaluate(SHOWN)) == 2, "another notification")
    assert notifying.evaluate(SHOWN)[1] == ["Mine", "Pull request #7 waits for your review.", tag, True]
    # When others take it on, then it is taken back.
    site.tasks.update_one({"title": "Mine"}, {"$set": {"reviewers": ["bob"]}})
    until(lambda: not notifying.evaluate(SHOWN)[1][3], "it is taken back")
    expect(notifying).to_have_title("Tasks")
    # A failure of one's own counts too, and one of somebody else's does not. It says what failed.
    frames = '  File "worker.py", line 7, in run\n    run()\n' * 40
    error = f"Traceback (most recent call last):\n{frames}OSError: The disk is full\n"
    site.tasks.update_many({}, {"$set": {"status": "failed", "error": error}})
    until(lambda: len(notifying.evaluate(SHOWN)) == 3, "the failure")
    assert notifying.evaluate(SHOWN)[2] == ["Mine", "OSError: The disk is full", tag, True]
    assert notifying.evaluate("badges").pop() == 1
    # Who looks at the page has seen it.
    notifying.evaluate(SHOW)
    expect(notifying).to_have_title("Tasks")
    assert notifying.evaluate("badges").pop() == 0
    assert not any(is_open for *_, is_open in notifying.evaluate(SHOWN))


def test_a_click_on_a_notification_opens_the_task(notifying: Page, site: Any) -> None:
    task_id = write_task(site)
    expect(row(notifying, task_id)).to_be_visible()
    notifying.evaluate(HIDE)
    set_status(site, "A task", "failed")
    until(lambda: len(notifying.evaluate(SHOWN)) == 1, "a notification")
    notifying.evaluate("""() => notified[0].dispatchEvent(new Event("click"))""")
    expect(detail(notifying, task_id)).to_be_visible()


def test_many_tasks_that_came_at_once_make_one_notification(notifying: Page, site: Any) -> None:
    expect(notifying.locator("#notice")).to_contain_text("No tasks yet")
    notifying.evaluate(HIDE)
    site.stop()
    for number in range(5):
        write_task(site, title=f"Task {number}", status="pr_opened")
    site.start()
    until(lambda: notifying.evaluate(SHOWN) != [], "a notification")
    assert notifying.evaluate(SHOWN) == [["Tasks", "5 tasks need you.", "/ alice ", True]]
    expect(notifying).to_have_title("(5) Tasks")


def test_of_three_tabs_one_notifies_and_none_while_the_reader_looks_at_another(
    notifying: Page, site: Any
) -> None:
    write_task(site)
    tabs = [notifying]
    for _ in range(2):
        tab = notifying.context.new_page()
        tab.add_init_script(f"({RECORD})()")
        tabs.append(site.open(page=tab))
    for tab in tabs:
        expect(tab.locator(".row")).to_have_count(1)
        expect(tab.locator("#notify")).to_be_checked()

    def shown() -> int:
        return sum(len(tab.evaluate(SHOWN)) for tab in tabs)

    # While one of them is in sight, nothing is notified.
    for tab in tabs[:2]:
        tab.evaluate(HIDE)
    set_status(site, "A task", "pr_opened")
    for tab in tabs[:2]:
        expect(tab).to_have_title("(1) Tasks")
    assert shown() == 0
    # When the reader leaves the last one, then nothing is notified of what it showed, and the next change once.
    tabs[2].evaluate(HIDE)
    set_status(site, "A task", "analyzing")
    for tab in tabs:
        expect(tab).to_have_title("Tasks")
    set_status(site, "A task", "failed")
    for tab in tabs:
        expect(tab).to_have_title("(1) Tasks")
    until(lambda: shown() > 0, "a notification")
    assert shown() == 1
    # When the tab that notifies is closed, then another one does.
    (speaking,) = [tab for tab in tabs if tab.evaluate(SHOWN)]
    tabs.remove(speaking)
    speaking.close()
    set_status(site, "A task", "pr_opened")
    until(lambda: shown() == 1, "a notification of another tab")
    # Who looks at one tab has seen it in all.
    tabs[0].evaluate(SHOW)
    expect(tabs[1]).to_have_title("Tasks")


def test_where_the_constructor_throws_a_service_worker_notifies_and_leads_to_the_task(
    page: Page, site: Any
) -> None:
    context: BrowserContext = page.context
    context.grant_permissions(["notifications"], origin=site.url)
    page.add_init_script(f"({NO_CONSTRUCTOR})()")
    page.add_init_script(HIDDEN)
    site.open()
    switch_on(page)
    task_id = write_task(site, title="Round the prices", questions=["Up or down?"])
    expect(row(page, task_id)).to_be_visible()
    page.evaluate(HIDE)
    with context.expect_event("serviceworker") as started:
        set_status(site, "Round the prices", "clarification_needed")
    worker = started.value
    worker.evaluate(PATIENT)
    until(lambda: page.evaluate(IN_WORKER) != [], "a notification")
    tag = f"/ alice {task_id}"
    assert page.evaluate(IN_WORKER) == [["Round the prices", "Up or down?", tag]]
    set_status(site, "Round the prices", "pr_opened")
    shown = [["Round the prices", "Waits for your review.", tag]]
    until(lambda: page.evaluate(IN_WORKER) == shown, "it replaces the first")
    # A click leads the tab of its user to the task, also if somebody else has used the page last,
    bob = site.open("bob", page=context.new_page())
    worker.evaluate(CLICK)
    expect(detail(page, task_id)).to_be_visible()
    assert (bob.url, worker.evaluate("opened")) == (f"{site.url}/", [])
    bob.close()
    # and opens one where there is none.
    set_status(site, "Round the prices", "failed")
    until(lambda: page.evaluate(IN_WORKER) != [], "a notification")
    page.goto("about:blank")
    worker.evaluate(CLICK)
    until(lambda: worker.evaluate("opened") != [], "a tab")
    assert worker.evaluate("opened") == [f"{site.url}/#/tasks/{task_id}"]
    # What was notified is taken back once its user looks at the page again,
    set_status(site, "Round the prices", "pr_opened")
    open_hidden(page, site, "alice")
    set_status(site, "Round the prices", "failed")
    until(lambda: page.evaluate(IN_WORKER) != [], "a notification")
    page.goto("about:blank")
    site.open("alice")
    until(lambda: page.evaluate(IN_WORKER) == [], "it is taken back from the one who looks at the page")
    # and in any case once somebody else is signed in and its user has left.
    page.evaluate(HIDE)
    set_status(site, "Round the prices", "pr_opened")
    until(lambda: page.evaluate(IN_WORKER) != [], "a notification")
    page.goto("about:blank")
    open_hidden(page, site, "bob")
    until(lambda: page.evaluate(IN_WORKER) == [], "it is taken back from the next user")


def open_hidden(page: Page, site: Any, user: str) -> None:
    """Open the page as a user who does not look at it."""
    page.goto("about:blank")
    page.goto(f"{site.url}/?hidden#token={token(user)}")
    page.wait_for_selector('[data-connection="live"]')


def test_a_tab_that_waits_for_a_sign_in_leaves_the_notifications_to_the_others(
    notifying: Page, site: Any
) -> None:
    # Given two tabs of alice, of which the first speaks for both,
    write_task(site)
    tab = notifying.context.new_page()
    tab.add_init_script(f"({RECORD})()")
    site.open(page=tab)
    expect(tab.locator(".row")).to_have_count(1)
    # when the first is taken over by a user whom the relay does not accept, and nobody looks at either,
    notifying.evaluate("token => void (location.hash = `token=${token}`)", token("bob", secret="?" * 32))
    expect(connection(notifying, "offline")).to_have_text("Signed out")
    for each in (notifying, tab):
        each.evaluate(HIDE)
    # then the second one notifies.
    until(lambda: tab.evaluate(SPEAKS), "it speaks")
    set_status(site, "A task", "failed")
    until(lambda: len(tab.evaluate(SHOWN)) == 1, "a notification")
    assert notifying.evaluate(SHOWN) == []

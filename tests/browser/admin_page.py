"""Helpers of the tests of the operators' page: sign in, and find elements of it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect
from support.relay_fixture import token


def admin_token(sub: str = "root", **changed: Any) -> str:
    return token(sub, **{"roles": ["admin"]} | changed)


def open_admin(page: Page, site: Any, query: str = "") -> None:
    """Open the page as an operator, and wait until it shows who is connected."""
    page.goto(f"{site.admin_url}/admin{query}#token={admin_token()}")
    expect(page.locator("#health")).to_have_text("Ready")


def rows(page: Page, user: str | None = None) -> Locator:
    """The rows of connections that are open, of all users or of one."""
    found = page.locator("#connections tbody tr:not(.gone)")
    return found if user is None else found.filter(has=page.get_by_role("button", name=user, exact=True))


def users(page: Page) -> list[str]:
    """The users of the rows, in their order."""
    return page.locator("#connections tbody tr .user").all_text_contents()

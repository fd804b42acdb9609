"""The files of the pages, for who edits them: what is edited is served at once."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from relay.gateway.pages.dashboard_page import SCRIPT, DashboardPage
from relay.gateway.pages.served import WEB
from relay.gateway.pages.web_files import WebFiles

FOLDERS = ("client", "view", "inspector", "dashboard")
TIME = "dashboard/time.js"


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A copy of the files, which a test may edit."""
    for folder in FOLDERS:
        shutil.copytree(WEB / folder, tmp_path / folder)
    return tmp_path


def body_of(files: WebFiles, name: str) -> bytes:
    content = files.get(name)
    assert content is not None
    return content.body


def test_a_file_that_is_edited_is_served_as_it_is_now(web: Path) -> None:
    files = WebFiles(web, FOLDERS)
    assert body_of(files, TIME) == (web / TIME).read_bytes()
    (web / TIME).write_text("export const edited = true;\n")
    assert body_of(files, TIME) == b"export const edited = true;\n"
    (web / TIME).unlink()
    assert files.get(TIME) is None


def test_a_file_that_is_added_is_served_after_the_next_look(web: Path) -> None:
    files = WebFiles(web, FOLDERS)
    files.look()
    (web / "view" / "new.js").write_text("export const added = true;\n")
    assert files.get("view/new.js") is None
    files.look()
    assert body_of(files, "view/new.js") == b"export const added = true;\n"


@pytest.mark.parametrize(
    "name", ["", "client", "client/", "../http.py", "client/../../app.py", "a\0b", "x" * 5000]
)
def test_no_name_leads_out_of_the_folders(web: Path, name: str) -> None:
    assert WebFiles(web, FOLDERS).get(name) is None


def test_the_page_is_built_again_when_one_of_its_files_was_edited(web: Path) -> None:
    page = DashboardPage(WebFiles(web, FOLDERS))
    before = page.current()
    assert page.current() is before
    text = (web / TIME).read_text("utf-8")
    (web / TIME).write_text(text + "export const edited = true;\n")
    after = page.current()
    assert after.digest != before.digest
    assert after.digest in after.html
    assert b"edited" in after.assets[SCRIPT].body
    # The same files have the same digest, on another machine and after a restart.
    (web / TIME).write_text(text)
    assert page.current().digest == before.digest


def test_modules_that_cannot_be_joined_are_loaded_one_by_one(
    web: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (web / TIME).write_text((web / TIME).read_text("utf-8") + "export default 1;\n")
    page = DashboardPage(WebFiles(web, FOLDERS)).current()
    assert page.html == (web / "dashboard" / "index.html").read_text("utf-8")
    assert re.search(rf"loads its modules one by one: {TIME} has a statement", caplog.text)


def test_what_is_loaded_late_is_asked_for_early(web: Path) -> None:
    page = DashboardPage(WebFiles(web, FOLDERS)).current()
    addresses = re.findall(r'(?:href|src)="([^"#]+)"', page.html)
    base = f"assets/{page.digest}/dashboard/"
    assert sorted(addresses) == [base + name for name in ("app.js", "icon.svg", "icons.svg", "style.css")]
    sheets = sorted((web / "dashboard").glob("*.css"))
    style = page.assets["dashboard/style.css"].body
    assert len(style) >= sum(sheet.stat().st_size for sheet in sheets)

"""The Python of the README runs, and its links lead somewhere. What it has people type: browser/test_walk.py."""

from __future__ import annotations

import re
import select
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pymongo import MongoClient
from support.doc_snippets import README, ROOT, blocks
from support.relay_fixture import SOON_S, running_in_thread, settings_for, token
from support.subprocesses import started


def test_the_python_program_of_the_readme_prints_what_it_says(
    mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str
) -> None:
    (program,) = blocks(README, "python")
    tasks = mongo[database_name]["tasks"]
    task_id = tasks.insert_one({"createdBy": "alice"}).inserted_id
    with running_in_thread(settings_for(mongo_url, database_name)) as url:
        given = {"RELAY_URL": url, "RELAY_TOKEN": token("alice"), "PYTHONPATH": str(ROOT)}
        # It says nothing of when it is connected, so the pull request is opened until it is seen.
        with started(sys.executable, "-W", "error", "-c", program, **given) as process:
            event = {"type": "pr_opened", "prUrl": "https://git.example/8"}
            assert process.stdout is not None
            deadline = time.monotonic() + SOON_S
            while not select.select([process.stdout], [], [], 0.2)[0]:
                assert time.monotonic() < deadline
                tasks.update_one({"_id": task_id}, {"$push": {"events": event}})
            process.read_until(r"to review: https://git\.example/8 \(1 tasks in all\)\n")


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for document in (README, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "relay" / "PROTOCOL.md"):
        for target in re.findall(r"\]\(([^)]+)\)", document.read_text("utf-8")):
            if not urlsplit(target).scheme:
                path, _, anchor = target.partition("#")
                found = (document.parent / path).resolve() if path else document
                assert found.exists(), f"{document.name}: {target}"
                assert not anchor or anchor in anchors(found), f"{document.name}: {target}"


def anchors(document: Path) -> set[str]:
    """Where links into a document can lead: its headings, as the forges spell them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_of_the_documents_is_linked_from_the_readme() -> None:
    readme = README.read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f"](docs/{page.name})" in readme

"""The Python programs of the README and the guides run. browser/test_walk.py runs the commands of the README."""

from __future__ import annotations

import select
import sys
import time
from typing import Any

from pymongo import MongoClient
from support.doc_snippets import DOCS, GUIDES, README, ROOT, blocks
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


def test_the_python_program_of_the_guide_follows_a_task_to_its_end(
    mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str
) -> None:
    (program,) = blocks(GUIDES / "python.md", "python")
    tasks = mongo[database_name]["tasks"]
    tasks.insert_one({"_id": "t1", "createdBy": "alice", "events": [{"type": "note"}]})
    with running_in_thread(settings_for(mongo_url, database_name)) as url:
        given = {"RELAY_URL": url, "RELAY_TOKEN": token("alice"), "TASK_ID": "t1", "PYTHONPATH": str(ROOT)}
        with started(sys.executable, "-u", "-W", "error", "-c", program, **given) as process:
            process.read_until(r"connected\n(.*\n)*task:state 1 Position\(next=1, head='.*'\)\n")
            tasks.delete_one({"_id": "t1"})
            process.read_until(r"task:deleted 0 None\nended: deleted\n")


def test_the_readme_is_short_and_links_every_page() -> None:
    readme = README.read_text("utf-8")
    assert len(readme.splitlines()) <= 160
    for page in DOCS.rglob("*.md"):
        assert f"]({page.relative_to(ROOT)})" in readme
    for page in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "relay/PROTOCOL.md"):
        assert f"]({page})" in readme

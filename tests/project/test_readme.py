"""The Python programs of the README and the guides run. browser/test_walk.py runs the commands of the README."""

from __future__ import annotations

import select
import sys
import time
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection
from support.doc_snippets import DOCS, GUIDES, README, ROOT, block_with, blocks
from support.relay_fixture import SOON_S, running_in_thread, settings_for, token
from support.subprocesses import Running, started


def push_until_said(process: Running, tasks: Collection[dict[str, Any]], *events: dict[str, Any]) -> None:
    """Push events until the program says something: it says nothing of when it is connected."""
    assert process.stdout is not None
    deadline = time.monotonic() + SOON_S
    while not select.select([process.stdout], [], [], 0.2)[0]:
        assert time.monotonic() < deadline
        tasks.update_one({}, {"$push": {"events": {"$each": list(events)}}})


def test_the_python_program_of_the_readme_prints_what_it_says(
    mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str
) -> None:
    (program,) = blocks(README, "python")
    tasks = mongo[database_name]["tasks"]
    tasks.insert_one({"createdBy": "alice"})
    with running_in_thread(settings_for(mongo_url, database_name)) as url:
        given = {"RELAY_URL": url, "RELAY_TOKEN": token("alice"), "PYTHONPATH": str(ROOT)}
        with started(sys.executable, "-W", "error", "-c", program, **given) as process:
            push_until_said(process, tasks, {"type": "pr_opened", "prUrl": "https://git.example/8"})
            process.read_until(r"to review: https://git\.example/8 \(1 tasks in all\)\n")


def test_the_python_program_of_the_guide_follows_a_task_to_its_end(
    mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str
) -> None:
    program = block_with(GUIDES / "python.md", "python", "TASK_ID")
    tasks = mongo[database_name]["tasks"]
    tasks.insert_one({"_id": "t1", "createdBy": "alice", "events": [{"type": "note"}]})
    with running_in_thread(settings_for(mongo_url, database_name)) as url:
        given = {"RELAY_URL": url, "RELAY_TOKEN": token("alice"), "TASK_ID": "t1", "PYTHONPATH": str(ROOT)}
        with started(sys.executable, "-u", "-W", "error", "-c", program, **given) as process:
            process.read_until(r"connected\n(.*\n)*task:state 1 Position\(next=1, head='.*'\)\n")
            tasks.delete_one({"_id": "t1"})
            process.read_until(r"task:deleted 0 None\nended: deleted\n")


def test_the_program_of_the_guide_for_one_type_of_message_prints_what_it_says(
    mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str
) -> None:
    program = block_with(GUIDES / "python.md", "python", "relay.messages")
    tasks = mongo[database_name]["tasks"]
    tasks.insert_one({"_id": "t1", "createdBy": "alice"})
    with running_in_thread(settings_for(mongo_url, database_name)) as url:
        given = {"RELAY_URL": url, "RELAY_TOKEN": token("alice"), "PYTHONPATH": str(ROOT)}
        with started(sys.executable, "-u", "-W", "error", "-c", program, **given) as process:
            failed, opened = (
                {"type": "failed", "error": "no disk"},
                {"type": "pr_opened", "prUrl": "https://git.example/8"},
            )
            push_until_said(process, tasks, failed, opened)
            process.read_until(r"t1 failed: no disk\n")
            process.read_until(r"to review: https://git\.example/8\n")


def test_the_readme_is_short_and_links_every_page() -> None:
    readme = README.read_text("utf-8")
    assert len(readme.splitlines()) <= 160
    for page in DOCS.rglob("*.md"):
        assert f"]({page.relative_to(ROOT)})" in readme
    for page in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "relay/PROTOCOL.md"):
        assert f"]({page})" in readme

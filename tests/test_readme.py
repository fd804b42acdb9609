"""What the README tells people to type works: each block of it that can be run is run."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from documents import README, ROOT, blocks
from pymongo import MongoClient
from running import COMMAND, SECRET, SOON_S, environment, running_in_thread, settings_for, token


class Running(subprocess.Popen[bytes]):
    """A program whose two outputs are read as one."""

    def read_until(self, wanted: str) -> re.Match[str]:
        """Where this pattern first stands in what it prints."""
        assert self.stdout is not None
        text, deadline = b"", time.monotonic() + SOON_S
        while (found := re.search(wanted, text.decode(errors="ignore"))) is None:
            assert select.select([self.stdout], [], [], max(0, deadline - time.monotonic()))[0], text
            more = os.read(self.stdout.fileno(), 65_536)
            assert more, text
            text += more
        return found


@contextmanager
def started(*command: str, **given: str) -> Iterator[Running]:
    with Running(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, env=environment(**given)
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def path_with_relay(tmp_path: Path) -> str:
    """A PATH on which `relay` is this checkout's."""
    command = tmp_path / "relay"
    command.write_text(f"#!/bin/sh\nexec '{COMMAND[0]}' {COMMAND[1]} '{COMMAND[2]}' \"$@\"\n")
    command.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def block_with(language: str, text: str) -> str:
    (found,) = [block for block in blocks(README, language) if text in block]
    return found


def test_the_relay_and_the_tail_start_as_the_readme_says(
    mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str, path_with_relay: str
) -> None:
    serve = block_with("sh", "relay serve")
    tail = block_with("sh", "relay tail --dashboard")
    assert "'mongodb://localhost:27017/?replicaSet=rs0'" in serve
    serve = serve.replace("mongodb://localhost:27017/?replicaSet=rs0", mongo_url).replace(
        "'…'", f"'{SECRET}'"
    )
    given = {"PATH": path_with_relay, "RELAY_MONGO_DATABASE": database_name, "RELAY_PORT": "0"}
    with started("bash", "-euc", serve.replace("relay serve", "exec relay serve"), **given) as relay:
        url = relay.read_until(r"listening on (http://\S+)\n")
        tail = tail.replace("http://127.0.0.1:8080", url[1]).replace("relay tail", "exec relay tail")
        with started("bash", "-euc", tail, PATH=path_with_relay, RELAY_JWT_SECRET=SECRET) as tailing:
            tailing.read_until("dashboard:state")
            mongo[database_name]["tasks"].insert_one({"title": "Seen", "teamId": "red"})
            tailing.read_until("dashboard:task_list_updated .* “Seen”")


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
    for document in (README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "relay" / "PROTOCOL.md"):
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

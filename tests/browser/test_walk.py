"""Run the commands of the README in their order, over documents that need a mapping."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from bson import json_util
from origin import served
from pymongo import MongoClient
from support.browser_contexts import Contexts
from support.doc_snippets import GUIDES, README, block_with, blocks
from support.relay_fixture import SECRET, environment
from support.subprocesses import path_with_relay, started

MAPPING = GUIDES / "mapping.md"
HOST = "http://127.0.0.1:8080"  # as in the README
PAGE = """<!doctype html>
<meta charset="utf-8">
<pre></pre>
<script type="module">
const fetchToken = async () => (await fetch("token")).text();
const show = (tasks) => { document.querySelector("pre").textContent = JSON.stringify(tasks); };
%s
</script>
"""


def readme_says(text: str) -> str:
    assert f"`{text}`" in re.sub(r"\s+", " ", README.read_text("utf-8"))
    return text


def ran(command: str, cwd: Path, **given: str) -> str:
    """Run a command that has to succeed, and return its standard output."""
    ended = subprocess.run(
        ["bash", "-euc", command],
        cwd=cwd,
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_commands_of_the_readme_work_one_after_another(tmp_path: Path, contexts: Contexts) -> None:
    path = path_with_relay(tmp_path)
    page_folder = tmp_path / "page"
    page_folder.mkdir()

    # One task's life. scripts/demo runs the same command in an environment that it makes.
    once = readme_says("scripts/demo --once").replace("scripts/demo", "relay demo")
    assert "task:pr_merged" in ran(once, tmp_path, PATH=path)

    # The demo, and from another folder the line it prints for a terminal.
    demo = ("relay", "demo", "--port", "0", "--pace", "0.05")
    with started(*demo, cwd=tmp_path, PATH=path) as playing:
        address, line = playing.read_until(r"(http://\S+/as/alice)[\s\S]*on a terminal:\n\n(.*)\n").groups()
        with contexts.page() as shown:
            shown.goto(address)
            shown.wait_for_selector('[data-connection="live"]')
        assert "dashboard:state" in ran(f"{line} --count 3", page_folder)

    # A MongoDB with a document of another team, and the mapping for it.
    mongod = readme_says("relay mongod --port 27017 --data db").replace("--port 27017", "--port 0")
    stored, _, update = blocks(MAPPING, "json")
    (tmp_path / "mapping.toml").write_text(blocks(MAPPING, "toml")[0], "utf-8")
    with (
        started("bash", "-euc", f"exec {mongod}", cwd=tmp_path, PATH=path) as database,
        served(page_folder) as origin,
    ):
        address = database.read_until(r"mongodb://127\.0\.0\.1:(\d+)/\S+\n")
        port = address[1]
        with MongoClient[dict[str, object]](address[0].strip()) as client:
            document = json_util.loads(stored)
            tasks = client["app"]["tasks"]
            tasks.insert_one(document)

            # The check and the relay.
            serve = block_with(README, "sh", "relay serve")
            assert "localhost:27017/" in serve
            assert "'…'" in serve
            serve = serve.replace("localhost:27017/", f"localhost:{port}/").replace("'…'", f"'{SECRET}'")
            exports, checking, serving = serve.rpartition("relay check")
            mapping = dict([readme_says("RELAY_MAPPING=mapping.toml").split("=")])
            given = {"PATH": path, "RELAY_PORT": "0", "RELAY_ALLOWED_ORIGINS": origin} | mapping
            serving = checking + serving.replace("relay serve", "exec relay serve")
            with started("bash", "-euc", exports + serving, cwd=tmp_path, **given) as relay:
                relay.read_until(r"with the bot \(1\) → task:analyzing(.|\n)*This will work")
                url = relay.read_until(r"listening on (http://\S+)\n")[1]

                # A token, two tails, a page of our own, and the dashboard.
                follow = block_with(README, "sh", "relay tail --dashboard")
                assert "--sub alice " in follow
                follow = follow.replace(HOST, url).replace("--sub alice ", "--sub ada ")
                known = {"PATH": path, "RELAY_JWT_SECRET": SECRET}
                export, tailing, _ = follow.partition("relay tail --dashboard")
                token = ran(export + 'echo "$RELAY_TOKEN"', tmp_path, **known).strip()
                direct = exports + "exec " + readme_says("relay tail --direct")
                (page_folder / "token").write_text(token)
                (page_folder / "index.html").write_text(PAGE % blocks(README, "js")[0].replace(HOST, url))
                dashboard = readme_says(f"{HOST}/#token=<token>").replace(HOST, url).replace("<token>", token)
                with (
                    started("bash", "-euc", f"{export}exec {tailing}", cwd=tmp_path, **known) as tail,
                    started("bash", "-euc", direct, cwd=tmp_path, **given) as watching,
                    contexts.page() as own,
                    contexts.page() as theirs,
                ):
                    tail.read_until(r"dashboard:state .*1 task\b")
                    watching.read_until("following app.tasks")
                    own.goto(origin)
                    own.locator("pre", has_text='"title":"Rotate the certificates"').wait_for()
                    theirs.goto(dashboard)
                    theirs.locator("li", has_text="Rotate the certificates").wait_for()

                    # The bot writes.
                    tasks.update_one({"_id": document["_id"]}, json.loads(update))
                    expected = r"task:pr_opened .*https://git\.example/changes/8"
                    tail.read_until("dashboard:task_list_updated .*“Rotate the certificates”")
                    watching.read_until(f"→ {expected}")
                    own.locator("pre", has_text='"eventCount":3').wait_for()

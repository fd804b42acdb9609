"""The recipes of docs/guides/recipes.md, each built with the real package of its framework, in a real Chromium."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dashboard import write_task
from origin import served
from playwright.sync_api import expect
from pymongo import MongoClient
from support.browser_contexts import Contexts
from support.browser_site import NETWORK_ERRORS, Site
from support.doc_snippets import GUIDES, ROOT
from support.node_packages import install_client, node_packages
from support.relay_fixture import settings_for, token

pytestmark = pytest.mark.timeout(600)  # packages are downloaded the first time

RECIPES = GUIDES / "recipes.md"
HOST = "https://relay.example.com"
TOOLS = (
    ROOT / "tests" / "recipes"
)  # the packages of the frameworks, and what a recipe leaves to the application
REACT_ADVERTISEMENT = "Download the React DevTools"  # of its development build
REDUX_IS_SLOW = "more than the warning threshold"  # its development build, on a busy machine
PAGES = ("plain", "vue", "svelte", "query", "redux", "index")  # index is the one of Next.js
BLOCK = re.compile(r"^```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINES_MAX = 20


def recipes() -> dict[str, str]:
    """Return each block of the guide by the file that its first line names. The page without a build names none."""
    found: dict[str, str] = {}
    for text in BLOCK.findall(RECIPES.read_text("utf-8")):
        named = re.match(r"(?://|<!--) ([\w./]+)", text)
        found[named[1] if named else "plain.html"] = text
    return found


def write(folder: Path, name: str, relay_url: str) -> None:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(recipes()[name].replace(HOST, relay_url), "utf-8")


def run(*command: str | Path, cwd: Path, **environment: str) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | {"NEXT_TELEMETRY_DISABLED": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An application with every framework installed, and with the package that `npm pack` makes."""
    root = tmp_path_factory.mktemp("recipes")
    shutil.copytree(node_packages(TOOLS), root / "node_modules", symlinks=True, copy_function=link)
    install_client(root / "node_modules")
    shutil.copytree(TOOLS / "app", root, dirs_exist_ok=True)
    yield root
    shutil.rmtree(root)  # some 400 MB where they could not be linked


def link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy(source, target)


@pytest.fixture(scope="module")
def built(project: Path) -> Iterator[tuple[str, str]]:
    """The built recipes. Yields the origin of their pages, and the address of the relay that they were built for."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        relay_url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    for name in ("relay.js", "Tasks.vue", "Tasks.svelte", "query.jsx", "store.js"):
        write(project / "src", name, relay_url)
    write(project, "app/page.jsx", relay_url)
    run("npx", "next", "build", cwd=project)
    run("npx", "vite", "build", "--mode", "development", cwd=project, NODE_ENV="development")
    for name in ("plain.html", "relay.js"):
        write(project / "out", name, relay_url)
    with served(project / "out") as origin:
        yield origin, relay_url


@pytest.fixture
def site(
    contexts: Contexts,
    mongo_url: str,
    mongo: MongoClient[dict[str, Any]],
    database_name: str,
    built: tuple[str, str],
) -> Iterator[Site]:
    """The relay that the recipes connect to. Fails the test if a framework warns or a page raises an error."""
    origin, relay_url = built
    settings = settings_for(mongo_url, database_name, relay_allowed_origins=origin)
    site = Site(settings, mongo[database_name]["tasks"], contexts)
    site.url = relay_url
    site.start()
    try:
        yield site
    finally:
        site.close()
    unexpected = (*NETWORK_ERRORS, REACT_ADVERTISEMENT, REDUX_IS_SLOW)
    assert [line for line in site.console if not any(part in line for part in unexpected)] == []


@pytest.mark.parametrize("name", PAGES)
def test_the_recipe_shows_the_tasks_and_stays_live(site: Site, built: tuple[str, str], name: str) -> None:
    write_task(site, title="Here before")
    page = site.page
    page.route("**/relay-token", lambda route: route.fulfill(body=token("alice")))
    # When the page of the recipe is opened, it shows what the user may see,
    page.goto(f"{built[0]}/{name}.html")
    shown = page.locator("li")
    expect(shown).to_have_text(["Here before"])
    # and follows what is written.
    write_task(site, title="Came later")
    expect(shown).to_have_text(["Came later", "Here before"])
    site.tasks.update_one({"title": "Here before"}, {"$set": {"title": "Renamed"}})
    expect(shown).to_have_text(["Came later", "Renamed"])
    site.tasks.delete_one({"title": "Came later"})
    expect(shown).to_have_text(["Renamed"])


def test_every_recipe_is_tried_and_short() -> None:
    assert len(recipes()) == len(PAGES) + 1, "one block each, and relay.js"
    assert max(len(text.splitlines()) for text in recipes().values()) <= LINES_MAX

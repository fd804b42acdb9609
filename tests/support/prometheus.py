"""A real Prometheus that scrapes one relay every second, with the rules of the project made quick. Does I/O."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from relay.cli.demo import mongod as embedded
from support.doc_snippets import ROOT
from support.relay_fixture import SOON_S

RULES = ROOT / "deploy" / "prometheus" / "relay.rules.yml"
MISSING = "{} is not installed (Debian: apt-get install prometheus)"
EVERY = "1s"
WINDOW = "5s"  # stands for the windows of minutes and hours
# A selector of a series: its name, and its labels if it has some.
SELECTOR = re.compile(r"\b((?:instance:)?(?:relay|process)_\w+(?::\w+)?|up)\b(\{[^}]*\})?")
LOOK_S = 0.2

CONFIGURATION = """
global: {{scrape_interval: {every}, evaluation_interval: {every}}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: relay
    static_configs: [{{targets: ["{target}"]}}]
"""


def rules() -> list[dict[str, Any]]:
    """Return all rules of the project, in their order."""
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def selectors(expression: str) -> Iterator[str]:
    """Yield each selector of a series in this expression, as a query of its own."""
    bare = re.sub(r"\b(by|on|without|ignoring) \([^)]*\)", "", expression)
    return (f"{name}{labels or ''}" for name, labels in SELECTOR.findall(bare))


def quick(text: str) -> str:
    """Return rules or expressions with shorter windows and delays. What they compute stays the same."""
    text = re.sub(r"\[(\d+[mh]|\$__rate_interval)\]", f"[{WINDOW}]", text)
    return re.sub(r"\bfor: \d+[mh]\b", f"for: {EVERY}", text)


def tool(name: str) -> str:
    """Return the path of a program of the Debian package. Skips the test if it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(MISSING.format(name))
    return found


class Prometheus:
    """A Prometheus that runs at this address."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that this expression has now."""
        found = await self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        series: list[dict[str, Any]] = found["result"]
        return series

    async def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        found = await self._get("/api/v1/alerts")
        return {one["labels"]["alertname"] for one in found["alerts"] if one["state"] == "firing"}

    async def fires(self, *names: str) -> None:
        """Wait until each of these alerts has fired."""
        seen: set[str] = set()

        async def all_seen() -> bool:
            seen.update(await self.firing())
            return seen >= set(names)

        await eventually(all_seen, lambda: f"{sorted(set(names) - seen)} did not fire")

    async def rests(self, *names: str) -> None:
        """Wait until none of these alerts fires."""

        async def none() -> bool:
            return not set(names) & await self.firing()

        await eventually(none, lambda: f"one of {names} still fires")

    async def finds(self, *expressions: str) -> None:
        """Wait until each of these expressions has a series."""
        missing = list(expressions)

        async def none_missing() -> bool:
            missing[:] = [one for one in missing if not await self.query(one)]
            return not missing

        await eventually(none_missing, lambda: f"no series for {missing}")

    async def _get(self, path: str) -> Any:
        def ask() -> Any:
            with urllib.request.urlopen(self._url + path, timeout=SOON_S) as answer:
                return json.load(answer)["data"]

        return await asyncio.to_thread(ask)


async def eventually(holds: Callable[[], Any], otherwise: Callable[[], str]) -> None:
    """Wait until `await holds()` is true. If it never is, fail with what `otherwise` says."""
    try:
        async with asyncio.timeout(SOON_S):
            while not await holds():
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        pytest.fail(otherwise())


@asynccontextmanager
async def prometheus(folder: Path, target: str) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes this host and port, in this folder. Gives it once it answers."""
    program, port = tool("prometheus"), embedded.free_port()
    (folder / "prometheus.yml").write_text(CONFIGURATION.format(every=EVERY, target=target))
    (folder / "rules.yml").write_text(quick(RULES.read_text("utf-8")))
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    running = Prometheus(f"http://127.0.0.1:{port}")

    async def answers() -> bool:
        try:
            await running.query("1")
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            return False
        return True

    try:
        await eventually(answers, lambda: (folder / "prometheus.log").read_text())
        yield running
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)

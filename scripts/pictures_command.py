"""The command line of scripts/pictures: serves an office's tasks with a real relay, and photographs its dashboard."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from playwright.async_api import Browser, Page, async_playwright
from pymongo import MongoClient

from relay import config
from relay.app import Relay
from relay.cli import logs
from relay.cli.demo import mongod
from scripts.pictures_office import FAILED, REVIEW, tasks

FOLDER = Path(__file__).parents[1] / ".github"
MORNING = 11  # the hour in the pictures, so that all events are of one day
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
# Of each picture: its size, colours, the task that is open, and how far the list has been scrolled.
PICTURES: dict[str, tuple[dict[str, int], str, str, int]] = {
    "dashboard": (DESK, "light", REVIEW, 0),
    "dashboard-dark": (DESK, "dark", REVIEW, 0),
    "task": (DESK, "light", FAILED, 250),
    "phone-task": (PHONE, "dark", REVIEW, 0),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/pictures", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=FOLDER, metavar="DIR", help="where to (default: .github)"
    )
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)} (default: all)")
    given = parser.parse_args()
    if unknown := set(given.only) - set(PICTURES):
        parser.error(f"there is no picture {', '.join(sorted(unknown))}")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        parser.exit(3, f"{parser.prog}: Chromium is not installed (Debian: apt-get install chromium)\n")
    asyncio.run(take(given.only or list(PICTURES), given.output, chromium))


async def take(names: list[str], folder: Path, chromium: str) -> None:
    """Take these pictures, each in a browser context of its own."""
    logs.configure("console", "WARNING")
    async with serving() as (url, ids), async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for name in names:
            await photograph(browser, url, ids, folder / f"{name}.png", *PICTURES[name])
        await browser.close()


async def photograph(
    browser: Browser,
    url: str,
    ids: dict[str, str],
    file: Path,
    size: Any,
    colours: Any,
    title: str,
    scrolled: int,
) -> None:
    context = await browser.new_context(
        viewport=size, color_scheme=colours, reduced_motion="reduce", locale="en-GB", timezone_id=morning()
    )
    page: Page = await context.new_page()
    await page.goto(url)
    await page.wait_for_selector('[data-connection="live"]')
    await page.goto(f"{url.partition('#')[0]}#/tasks/{ids[title]}")
    await page.wait_for_selector("[data-event-index]")
    await page.locator(".list").first.evaluate("(list, by) => list.scrollTo(0, by)", scrolled)
    await page.wait_for_function("() => document.fonts.status === 'loaded'")
    await page.mouse.move(size["width"] - 1, size["height"] - 1)
    await page.screenshot(path=file)
    await context.close()


def morning() -> str:
    """Return the time zone in which it is morning now."""
    east = (MORNING - datetime.now(UTC).hour + 12) % 24 - 12
    return f"Etc/GMT{-east:+d}"  # whose signs are those of POSIX: west is positive


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[str, dict[str, str]]]:
    """Serve the office. Yields the address that signs alice in, and the id of each task by its title."""
    secret = secrets.token_urlsafe(32)
    with mongod.start() as server:
        documents = tasks(datetime.now(UTC))
        with MongoClient[dict[str, Any]](server.url) as client:
            client["office"]["tasks"].insert_many(documents)
        relay = Relay(
            config.defaults(
                relay_mongo_url=server.url,
                relay_mongo_database="office",
                relay_tasks_collection="tasks",
                relay_jwt_secret=secret,
                relay_jwt_algorithms=("HS256",),
                relay_port=0,
            )
        )
        ready = asyncio.Event()
        running = asyncio.create_task(relay.run(ready.set))
        await ready.wait()
        token = jwt.encode({"sub": "alice", "exp": int(time.time()) + 3600}, secret, "HS256")
        try:
            yield f"{relay.url}/#token={token}", {one["title"]: str(one["_id"]) for one in documents}
        finally:
            relay.stop()
            await running


if __name__ == "__main__":
    main()

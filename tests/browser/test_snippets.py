"""The JavaScript of the documents, in a real Chromium, over a real relay."""

from __future__ import annotations

from playwright.sync_api import Page
from support.browser_site import Site
from support.doc_snippets import GUIDES, README, blocks
from support.relay_fixture import token

HOST = "http://127.0.0.1:8080"  # as in the README


def until(page: Page, condition: str) -> None:
    """Wait inside the page: its content security policy forbids evaluating strings, which Playwright's wait does."""
    page.evaluate(f"async () => {{ while (!({condition})) await new Promise(requestAnimationFrame); }}")


def test_the_page_of_the_readme_shows_its_tasks(site: Site) -> None:
    (program,) = blocks(README, "js")
    site.tasks.insert_one({"_id": "t1", "createdBy": "alice"})
    head, imported, rest = program.partition(f'import {{ connect }} from "{HOST}/client/index.js";')
    assert imported
    assert not head
    page = site.page
    page.goto(site.url)
    page.evaluate(
        f"""async (given) => {{
            const {{ connect }} = await import("{site.url}/client/index.js");
            const fetchToken = () => given;
            const show = (tasks) => {{ globalThis.shown = tasks.map((task) => task.taskId); }};
            {rest.replace(HOST, site.url)}
        }}""",
        token("alice"),
    )
    until(page, "globalThis.shown?.[0] === 't1'")


def test_the_lines_of_the_guide_follow_a_list_and_a_task(site: Site) -> None:
    (lines,) = blocks(GUIDES / "browser.md", "js")
    merged, followed = (
        {"_id": "t1", "createdBy": "alice", "status": "merged"},
        {"_id": "t2", "createdBy": "alice"},
    )
    site.tasks.insert_many([merged, followed])
    page = site.page
    page.goto(site.url)
    page.evaluate(
        f"""async (given) => {{
            const {{ connect }} = await import("/client/index.js");
            const relay = connect({{ url: "/ws", token: () => given }});
            const list = relay.joinDashboard();
            const taskId = "t2";
            const show = (tasks) => {{ globalThis.shown = tasks.map((task) => task.taskId); }};
            const draw = (task, events) => {{ globalThis.drawn = events.length; }};
            const toast = (text) => {{ globalThis.toasted = text; }};
            {lines}
        }}""",
        token("alice"),
    )
    until(page, "globalThis.shown?.join() === 't2' && globalThis.drawn === 0")
    event = {"type": "pr_opened", "prUrl": "https://git.example/8"}
    site.tasks.update_one({"_id": "t2"}, {"$push": {"events": event}})
    until(page, "globalThis.drawn === 1 && globalThis.toasted === 'to review: https://git.example/8'")


def test_the_page_of_an_application_asks_it_for_tokens(site: Site) -> None:
    (program,) = blocks(GUIDES / "embedding.md", "js")
    page = site.page
    page.route("**/live-token", lambda route: route.fulfill(body=token("alice")))
    page.goto(site.url)
    page.evaluate(
        f"""async () => {{
            {program.replace("/live/", "/")}
            globalThis.relay = relay;
        }}"""
    )
    until(page, "globalThis.relay.status.state === 'live'")


def test_the_socket_adapter_delivers_the_planned_messages(site: Site) -> None:
    (shim,) = blocks(GUIDES / "from-socket-io.md", "js")
    site.tasks.insert_one({"_id": "t1", "createdBy": "alice", "status": "dispatched", "events": []})
    page = site.page
    page.goto(site.url)
    page.evaluate(
        f"""async (given) => {{
            {shim}
            const {{ connect }} = await import("/client/index.js");
            const socket = socketOver(connect({{ url: "/ws", token: () => given }}));
            const received = (globalThis.received = []);
            const unwanted = () => received.push("unwanted");
            socket.on("task:created", unwanted);
            socket.off("task:created", unwanted);
            socket.on("connect", () => received.push("connect"));
            socket.on("task:state", (data) => received.push(data.taskId));
            socket.on("task:pr_opened", (data) => received.push(data.prUrl));
            socket.emit("dashboard:join");
            socket.emit("task:join", {{ taskId: "t1" }});
        }}""",
        token("alice"),
    )
    until(page, "globalThis.received.includes('t1')")
    site.tasks.insert_one({"createdBy": "alice"})
    event = {"type": "pr_opened", "prUrl": "https://git.example/8"}
    site.tasks.update_one({"_id": "t1"}, {"$push": {"events": event}})
    until(page, "globalThis.received.length >= 3")
    assert page.evaluate("globalThis.received") == ["connect", "t1", "https://git.example/8"]

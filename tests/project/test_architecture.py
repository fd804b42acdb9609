"""Imports point one way: a stage imports only stages to its left, and shared modules import no stage."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

RELAY = Path(__file__).parents[2] / "relay"
STAGES = ("protocol", "source", "tasks", "auth", "feed", "hub", "gateway")
SHARED = {
    *("errors", "variables", "settings_file", "urls", "cores", "metrics", "secret_files", "jwt_secrets"),
    *("file_content", "setting_values", "config"),
}
CLIENT = {"client", "protocol", "errors"}  # the Python client runs without the server
# Modules and packages of relay/gateway. Each imports only entries of earlier lines and itself.
GATEWAY = (
    ("transports", "certificate", "descriptors", "expiry", "http_errors", "paths", "services", "unix_socket"),
    ("listening", "pages", "resync", "request_log", "tls_transport"),
    ("session",),
    ("websocket", "polling"),
    ("http_protocol", "admin", "page"),
    ("http", "server"),
)
# What the processes of several workers use of the commands: how a process starts, logs, and ends.
PROCESS = {"logs", "loop", "output", "printable", "process", "signals"}
PURE_BANS = {"asyncio", "pymongo", "starlette", "uvicorn", "websockets", "socket"}
FILE_CALLS = {"open", "read_text", "read_bytes", "write_text", "write_bytes"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: relative import"
            # `from relay import config` names a module, `from relay.config import load` a function in one.
            yield from (f"{node.module}.{name.name}" for name in node.names)


def imports_of_relay(paths: Iterable[Path]) -> Iterator[tuple[Path, list[str]]]:
    """The file and the dotted parts below `relay` of each import of our own."""
    for path in paths:
        for module in imports(path):
            if module.startswith("relay."):
                yield path, module.split(".")[1:]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_only_what_lies_left_of_it(stage: str) -> None:
    """So no stage imports a command (`cli`), the Python client or the composition root (`app`) either."""
    allowed = {*STAGES[: STAGES.index(stage) + 1], *SHARED}
    for path, (module, *_) in imports_of_relay((RELAY / stage).rglob("*.py")):
        assert module in allowed, f"{path.name} imports {module}"


def test_a_shared_module_imports_no_stage() -> None:
    for path, (module, *_) in imports_of_relay(RELAY / f"{name}.py" for name in SHARED):
        assert module in SHARED, f"{path.name} imports {module}"


def test_nothing_below_the_commands_imports_the_workers_and_they_import_no_command() -> None:
    """They are composed of whole relays, so they stand beside the composition root (`app`)."""
    for path, (module, *rest) in imports_of_relay((RELAY / "workers").rglob("*.py")):
        allowed = {*STAGES, *SHARED, "app", "pipeline", "reload", "workers"}
        assert module in allowed or (module == "cli" and rest[0] in PROCESS), f"{path.name} imports {module}"
    for path, (module, *rest) in imports_of_relay(RELAY / "cli" / f"{name}.py" for name in PROCESS):
        assert module == "protocol" or (module == "cli" and rest[0] in PROCESS), (
            f"{path.name} imports {module}"
        )
    for path, (module, *_) in imports_of_relay(
        RELAY / f"{name}.py" for name in ("app", "pipeline", "health", "parts", "reload")
    ):
        assert module not in {"workers", "cli"}, f"{path.name} imports {module}"


def test_the_python_client_imports_nothing_of_the_server() -> None:
    for path, (module, *_) in imports_of_relay((RELAY / "client").rglob("*.py")):
        assert module in CLIENT, f"{path.name} imports {module}"


def test_within_the_gateway_no_carrier_imports_a_carrier_and_imports_point_one_way() -> None:
    floor = {name: number for number, names in enumerate(GATEWAY) for name in names}
    root = RELAY / "gateway"
    assert floor.keys() == {path.stem for path in root.iterdir() if path.name[0] != "_"}
    for path, (stage, *parts) in imports_of_relay(root.rglob("*.py")):
        own = path.relative_to(root).parts[0].removesuffix(".py")
        if stage == "gateway" and own != "__init__" and parts[0] != own:
            assert floor[parts[0]] < floor[own], f"{path.relative_to(root)} imports {parts[0]}"


def test_a_pure_module_imports_nothing_that_does_io() -> None:
    pure = [path for path in RELAY.rglob("*.py") if "Pure" in ast.get_docstring(ast.parse(path.read_text()))]
    assert len(pure) >= 10
    for path in pure:
        assert not {module.split(".")[0] for module in imports(path)} & PURE_BANS, path
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        called = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
        assert not called & FILE_CALLS, path


@pytest.mark.parametrize("path", sorted(RELAY.rglob("*.py")), ids=lambda path: str(path.relative_to(RELAY)))
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


def test_no_test_module_imports_another_test_module() -> None:
    """Code that several test modules need lives in `tests/support`."""
    for path in (RELAY.parent / "tests").rglob("*.py"):
        for module in imports(path):
            assert not module.rpartition(".")[2].startswith("test_"), f"{path.name} imports {module}"

"""The npm package (client, view and React): its own tests in Node, its types, and what it must not contain."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.doc_snippets import GUIDES, blocks
from support.node_packages import install_client, node_packages

from relay.protocol.types import LIFECYCLE_FIELDS, STAGES
from relay.tasks.mapping import EVENT_TYPES, STATUSES

ROOT = Path(__file__).parents[2]
WEB = ROOT / "relay" / "web"
TESTS = sorted((ROOT / "tests" / "web").glob("*.test.js"))
REACT_TESTS = sorted((ROOT / "tests" / "web" / "react").glob("*.test.js"))
TYPED_PROGRAMS = sorted((ROOT / "tests" / "web" / "typescript").glob("*.ts*"))
CLIENT_MODULES = sorted((WEB / "client").rglob("*.js"))
VIEW_MODULES = sorted((WEB / "view").rglob("*.js"))
INSPECTOR_MODULES = sorted((WEB / "inspector").rglob("*.js"))
REACT_MODULES = sorted((WEB / "react").rglob("*.js"))
TESTING_MODULES = sorted((WEB / "testing").rglob("*.js"))
DASHBOARD_MODULES = sorted((WEB / "dashboard").rglob("*.js"))
ADMIN_MODULES = sorted((WEB / "admin").rglob("*.js"))


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def node() -> str:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    return node


@pytest.fixture(scope="session")
def packages(node: str) -> Path:
    """The tools of the package, in the versions of its lock file."""
    return node_packages(WEB)


@pytest.fixture(scope="session")
def tsc(node: str, packages: Path) -> tuple[str, str]:
    return node, str(packages / "typescript" / "bin" / "tsc")


@pytest.mark.timeout(600)
def test_the_client_passes_its_tests(node: str) -> None:
    run(node, "--test", *TESTS)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["of the package", "18"])
def test_the_react_part_passes_its_tests(
    node: str, packages: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = REACT_TESTS
    if version == "18":  # the oldest
        node_packages(REACT_TESTS[0].parent)
        monkeypatch.setenv("REACT", version)
        monkeypatch.setenv("RUNS", "1")
        tests = [path for path in REACT_TESTS if path.name != "server.test.js"]
    run(node, "--test", *tests)


@pytest.mark.parametrize("entry", ["index.js", "suspense.js"])
def test_an_entry_of_react_begins_with_the_mark_for_next_js(entry: str) -> None:
    """A directive counts only before the first statement."""
    first, second, *_ = (WEB / "react" / entry).read_text("utf-8").splitlines()
    assert (first, second) == ("// @ts-check", '"use client";')


@pytest.mark.timeout(600)
def test_the_package_is_typed_strictly_and_its_shipped_types_match_the_sources(
    tsc: tuple[str, str], tmp_path: Path
) -> None:
    # When tsc writes the declarations, then it finds nothing wrong in the sources,
    run(*tsc, "--declaration", "--emitDeclarationOnly", "--outDir", tmp_path, cwd=WEB)
    modules = CLIENT_MODULES + VIEW_MODULES + INSPECTOR_MODULES + REACT_MODULES + TESTING_MODULES
    assert all(path.read_text("utf-8").startswith("// @ts-check\n") for path in modules)
    # and they are those that are shipped.
    run(tsc[0], ROOT / "scripts" / "published_types.js", tmp_path)
    fresh, shipped = (
        {path.relative_to(root): path.read_text("utf-8") for path in root.rglob("*.d.ts")}
        for root in (tmp_path, WEB / "types")
    )
    assert fresh == shipped, "run `npm run types` in relay/web"


@pytest.mark.timeout(600)
def test_an_application_in_typescript_finds_the_types(
    tsc: tuple[str, str], packages: Path, tmp_path: Path
) -> None:
    """Each line after `@ts-expect-error` is one that must not compile: tsc reports one that does.

    The declarations are written, as a library does: every type that a program exports has to have a public name.
    """
    (tmp_path / "package.json").write_text('{"type": "module"}')
    installed = tmp_path / "node_modules"
    installed.mkdir()
    install_client(installed)
    for name in ("react", "@types"):
        (installed / name).symlink_to(packages / name)
    programs = [Path(shutil.copy(program, tmp_path)).name for program in TYPED_PROGRAMS]
    for guide, language in (("browser", "ts"), ("react", "ts"), ("react", "tsx")):
        for number, program in enumerate(blocks(GUIDES / f"{guide}.md", language)):
            programs.append(f"{guide}-{language}-{number}.{language}")
            (tmp_path / programs[-1]).write_text(program)
    options = (
        "--declaration",
        "--emitDeclarationOnly",
        "--outDir",
        "out",
        "--strict",
        "--exactOptionalPropertyTypes",
        "--noUncheckedIndexedAccess",
        "--skipDefaultLibCheck",
    )
    environment = ("--module", "nodenext", "--target", "es2022", "--jsx", "react-jsx")
    run(*tsc, *options, *environment, *programs, cwd=tmp_path)


def test_the_client_writes_nothing_to_the_console_and_has_no_dependency() -> None:
    for path in CLIENT_MODULES + INSPECTOR_MODULES + TESTING_MODULES:
        text = path.read_text("utf-8")
        assert "console" not in text, path
        assert all(name.startswith(".") for name in imports(text)), path


def test_the_view_part_is_pure_and_imports_only_types_of_the_client() -> None:
    for path in VIEW_MODULES:
        text = path.read_text("utf-8")
        statements = "\n".join(
            line for line in text.splitlines() if re.match(r"(import|export|\} from)\b", line)
        )
        assert all(name.startswith("./") for name in imports(statements)), path
        assert not re.search(r"\b(console|document|window|navigator|fetch|setTimeout)\b\.?", code_of(text)), (
            path
        )


def test_the_dashboard_imports_only_what_the_package_exports() -> None:
    exported = {"../client/index.js", "../inspector/index.js", "../view/index.js"}
    for path in DASHBOARD_MODULES:
        foreign = {name for name in imports(path.read_text("utf-8")) if not name.startswith("./")}
        assert foreign <= exported, path


def test_the_dashboard_finds_everything_relative_to_its_own_address() -> None:
    """A proxy may serve it under any path."""
    page = (WEB / "dashboard" / "index.html").read_text("utf-8")
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert "dashboard/app.js" in addresses
    assert not [address for address in addresses if address.startswith("/") or "://" in address]
    for path in [*DASHBOARD_MODULES, *(WEB / "dashboard").glob("*.css")]:
        text = code_of(path.read_text("utf-8"))
        assert not re.search(r"""["'`(]/(ws|poll|config|client|view|dashboard)\b""", text), path


@pytest.mark.timeout(600)
def test_the_pages_are_typed_strictly(tsc: tuple[str, str]) -> None:
    modules = DASHBOARD_MODULES + ADMIN_MODULES
    options = ("--noEmit", "--allowJs", "--checkJs", "--strict", "--ignoreConfig", "--skipDefaultLibCheck")
    environment = ("--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable")
    run(*tsc, *options, *environment, *modules, cwd=WEB)
    assert all(path.read_text("utf-8").startswith("// @ts-check\n") for path in modules)


def test_the_page_of_operators_imports_by_relative_addresses_only() -> None:
    """It may be served under any path, and only the folders `admin`, `dashboard` and `view` are served beside it."""
    for path in ADMIN_MODULES:
        foreign = {name for name in imports(path.read_text("utf-8")) if not name.startswith("./")}
        assert foreign <= {"../view/index.js", "../dashboard/dom.js"}, path
    page = (WEB / "admin" / "index.html").read_text("utf-8")
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses
    assert all(name.startswith("static/") for name in addresses)


def code_of(text: str) -> str:
    """A module without its comments."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)


def test_the_react_part_writes_nothing_to_the_console_and_depends_only_on_react() -> None:
    for path in REACT_MODULES:
        text = path.read_text("utf-8")
        assert "console" not in text, path
        assert all(name == "react" or name.startswith(".") for name in imports(text)), path
    assert json.loads((WEB / "package.json").read_text())["peerDependencies"] == {"react": ">=18"}


def imports(text: str) -> list[str]:
    return re.findall(r"""(?:from|import) ["']([^"']+)""", text)


def test_the_fake_relay_has_the_default_mapping(node: str) -> None:
    program = f"import * as stages from {json.dumps((WEB / 'testing' / 'stages.js').as_uri())}; " + (
        "console.log(JSON.stringify([stages.EVENT_TYPES, stages.STATUSES, stages.LIFECYCLE_FIELDS]))"
    )
    done = subprocess.run([node, "--input-type=module", "-e", program], capture_output=True, check=True)
    tables = (EVENT_TYPES, STATUSES, LIFECYCLE_FIELDS)
    mapping = [{STAGES[kind]: list(names) for kind, names in table.items()} for table in tables]
    assert json.loads(done.stdout) == mapping


def test_the_lock_names_no_registry() -> None:
    assert "://" not in (WEB / "package-lock.json").read_text()
    package = json.loads((WEB / "package.json").read_text())
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", pinned) for pinned in package["devDependencies"].values())
    assert "dependencies" not in package


def pages() -> set[str]:
    """What the relay serves as pages."""
    paths = [path for part in ("dashboard", "admin") for path in (WEB / part).rglob("*") if path.is_file()]
    return {path.relative_to(WEB).as_posix() for path in paths}


def test_the_wheel_contains_the_client_and_none_of_its_tools(tsc: tuple[str, str], tmp_path: Path) -> None:
    # When the tools of the client are installed,
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    # then the wheel contains nothing of them.
    (wheel,) = tmp_path.glob("*.whl")
    names = [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("relay/web/")]
    parts = ("client", "view", "inspector", "react", "testing")
    assert {f"relay/web/{part}/index.js" for part in parts} <= set(names)
    assert {f"relay/web/{part}" for part in pages()} <= set(names)
    assert {f"relay/web/types/{part}/index.d.ts" for part in parts} <= set(names)
    assert not [name for name in names if "node_modules" in name or name.endswith((".json", ".npmrc"))]

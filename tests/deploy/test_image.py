"""The steps of the Dockerfile in an empty environment of this machine, because there is no container engine: what it
copies is enough to install the relay, and what it installs runs as a user who can write nowhere but in /tmp."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.doc_snippets import ROOT
from support.relay_fixture import SECRET, SOON_S

from relay.cli.demo import mongod as embedded

pytestmark = pytest.mark.timeout(600)  # packages are downloaded the first time

TEXT = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
STEPS = [(name, rest.strip()) for name, rest in re.findall(r"^([A-Z]+) +(.*)$", TEXT, re.MULTILINE)]


def steps(name: str) -> list[str]:
    return [rest for step, rest in STEPS if step == name]


def variables() -> dict[str, str]:
    """Return the environment that the Dockerfile sets."""
    return {name: value for line in steps("ENV") for name, value in re.findall(r"(\w+)=(\S+)", line)}


def test_labels_of_the_image_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (line,) = steps("LABEL")
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', line))
    assert labels["version"] == project["version"]
    assert labels["licenses"] == project["license"]
    assert labels["base.name"] == f"docker.io/library/{steps('FROM')[0]}"
    assert labels["revision"] == "$REVISION"


def ignored(path: Path) -> bool:
    """Does .dockerignore leave this path of the project out?"""
    out = False
    relative = path.relative_to(ROOT)
    for line in (ROOT / ".dockerignore").read_text("utf-8").split():
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = [relative, *relative.parents]
        names = [part.name for part in parts] if "**/" in line else [str(part) for part in parts]
        if any(fnmatch.fnmatchcase(name, pattern) for name in names if name not in ("", ".")):
            out = not line.startswith("!")
    return out


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Copy and install as the Dockerfile does. Yields the directory of the programs."""
    root = tmp_path_factory.mktemp("image")
    context, venv = root / "relay", root / "venv"
    context.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (venv / "bin" / "pip").write_text(f'#!/bin/sh\n{sys.executable} -m pip --python {venv}/bin/python "$@"\n')
    (venv / "bin" / "pip").chmod(0o755)
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RELAY_", "PYTHON", "VIRTUAL"))
    }
    env["PATH"] = f"{venv / 'bin'}:{os.environ['PATH']}"
    env |= variables()
    for step, rest in STEPS:
        if step == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy(ROOT / source, context / target)
        if step == "RUN":  # with pip's cache, which only makes an image larger
            for command in rest.replace("--no-cache-dir", "").split("&&"):
                if command.split()[0] in ("groupadd", "useradd"):
                    continue  # this machine keeps its users
                done = subprocess.run(
                    ["/bin/sh", "-c", command],
                    cwd=context,
                    env=env,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    yield venv / "bin"
    shutil.rmtree(root)


def copy(source: Path, target: Path) -> None:
    """Copy as COPY does, without what .dockerignore leaves out."""
    assert not ignored(source), f".dockerignore keeps {source} out of the image"
    if source.is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        return
    leave = lambda folder, names: [name for name in names if ignored(Path(folder) / name)]  # noqa: E731
    shutil.copytree(source, target, ignore=leave)


def test_the_image_takes_in_nothing_but_the_relay(installed: Path) -> None:
    context = installed.parents[1] / "relay"
    assert {path.name for path in context.iterdir()} - {"build"} == {
        "requirements",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "relay",
    }
    assert not list(context.rglob("__pycache__"))
    assert not list(context.rglob("node_modules"))


def test_the_image_need_not_compile_the_relay_at_each_start(installed: Path) -> None:
    (package,) = installed.parent.glob("lib/python3*/site-packages/relay")
    modules = {path.stem for path in package.glob("*.py")}
    assert {path.name.partition(".")[0] for path in (package / "__pycache__").iterdir()} == modules


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_image_serves_and_ends_as_a_user_without_rights(
    installed: Path, mongo_url: str, database_name: str, tmp_path: Path, workers: str
) -> None:
    (user,) = steps("USER")
    uid, gid = map(int, user.split(":"))
    port, nobody = embedded.free_port(), str(embedded.free_port())
    env = {
        "PATH": f"{installed}:/usr/bin:/bin",
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database_name,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": str(port),
        "RELAY_WORKERS": workers,
        "RELAY_DRAIN_MS": "0",
        "TMPDIR": str(tmp_path),
    }
    env |= variables()
    before: list[str] = []
    if os.geteuid() == 0:  # only root may become another user
        os.chown(tmp_path, uid, gid)
        before = as_user(uid, gid)
    (command,) = steps("CMD")[-1:]
    relay = subprocess.Popen(
        [*before, *re.findall(r'"([^"]*)"', command)],
        cwd=installed.parents[1] / "relay",
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = until(relay, "listening on")
        socket.create_connection(("127.0.0.1", port), SOON_S).close()
        (check,) = re.findall(r"^HEALTHCHECK .*? CMD +(.*)$", TEXT, re.MULTILINE)
        check = check.replace("timeout=2", f"timeout={SOON_S}")  # for a busy machine
        for further, returned in (
            ({}, 0),
            ({"RELAY_ADMIN_PORT": str(port), "RELAY_PORT": nobody}, 0),
            ({"RELAY_PORT": nobody}, 1),
        ):
            assert (
                subprocess.run(["/bin/sh", "-c", check], env=env | further, check=False).returncode
                == returned
            )
        relay.terminate()
        assert relay.wait(SOON_S) == 0, said
    finally:
        relay.kill()
        relay.communicate()
    assert list(tmp_path.iterdir()) == []


def as_user(uid: int, gid: int) -> list[str]:
    """Return the words before a command that is to run as this user, with one right more: to read what root can read,
    because the Python of this machine may lie in a directory of root."""
    ids = (f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
    kinds = ("inh-caps", "ambient-caps", "bounding-set")
    caps = (f"--{kind}=-all,+dac_read_search" for kind in kinds)
    return ["setpriv", *ids, *caps, "--no-new-privs"]


def until(relay: subprocess.Popen[str], wanted: str) -> str:
    """Return the lines that the relay prints up to the one that contains `wanted`."""
    assert relay.stderr is not None
    said = ""
    for line in relay.stderr:
        said += line
        if wanted in line:
            return said
    raise AssertionError(said)

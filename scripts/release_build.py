"""Builds the packages of a release from an exported commit. Two builds of one commit have the same bytes."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path


class Failed(Exception):
    """A step of the release failed. The message has the command and what it printed."""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command and return what it printed. Raises Failed if it ends with an error."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout.strip()}")
    return done.stdout


def export(root: Path, commit: str, target: Path) -> None:
    """Write the files of the commit to `target`: nothing that Git does not know can get into a release."""
    archive = subprocess.run(["git", "archive", commit], cwd=root, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(target, filter="data")


def build_python(
    source: Path, output: Path, epoch: str, targets: Sequence[str] = ("sdist", "wheel")
) -> list[Path]:
    """Build wheel and sdist. `epoch` is the time of all files in them, in seconds."""
    before = set(output.iterdir())
    for target in targets:
        run(
            *(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", output),
            cwd=source,
            SOURCE_DATE_EPOCH=epoch,
        )
    return sorted(set(output.iterdir()) - before)


def build_npm(source: Path, output: Path, repository: str | None) -> Path:
    """Pack the npm package. With a repository, the package names it, which npm's provenance requires."""
    web = source / "relay" / "web"
    if repository is not None:
        manifest = json.loads((web / "package.json").read_text("utf-8"))
        manifest["repository"] = {"type": "git", "url": repository, "directory": "relay/web"}
        (web / "package.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    packed = json.loads(run("npm", "pack", "--json", "--pack-destination", output, cwd=web))
    return output / packed[0]["filename"]


def build_image(source: Path, name: str, commit: str) -> str | None:
    """Build the image under this name. Returns None, having built nothing, if there is no container engine."""
    for engine in ("docker", "podman"):
        if shutil.which(engine) and subprocess.run([engine, "info"], capture_output=True).returncode == 0:
            run(engine, "build", "--build-arg", f"REVISION={commit}", "--tag", name, ".", cwd=source)
            return engine
    return None

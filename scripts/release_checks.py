"""Checks the packages of a release as their users would meet them: in empty environments."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path

from scripts.release_build import Failed, build_python, run

TOOLS = Path(__file__).parent / "release_tools"
NPM_NEEDS = ("README.md", "LICENSE", "package.json", "client/index.js", "types/client/index.d.ts")
# Asks both module systems for every entry of the package. React need not be there for the others.
LOAD = """
const { createRequire } = require("node:module");
const here = createRequire(process.cwd() + "/");
const entries = process.argv.slice(1);
for (const entry of entries) if (Object.keys(here(entry)).length === 0) throw new Error(`${entry} is empty`);
Promise.all(entries.map((entry) => import(here.resolve(entry)))).then(() => process.exit(0));
"""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_python(sdist: Path, wheel: Path, version: str, scratch: Path, epoch: str) -> list[str]:
    """Return a sentence for each thing that holds of wheel and sdist. Raises Failed for the first that does not."""
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel, cwd=scratch)
    with tarfile.open(sdist) as files:
        files.extractall(scratch, filter="data")
    (unpacked,) = (path for path in scratch.iterdir() if path.is_dir())
    (again,) = build_python(unpacked, scratch, epoch, ("wheel",))
    if digest(again) != digest(wheel):
        raise Failed("The wheel that the sdist makes is not the wheel of the release.")
    venv = scratch / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=scratch)
    target = run(
        venv / "bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=scratch
    )
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--target", target.strip())
    run(sys.executable, *pip, wheel, cwd=scratch, PIP_USER="0")
    named = "from importlib.metadata import version; print(version('task-relay'))"
    if (found := run(venv / "bin/python", "-c", named, cwd=scratch).strip()) != version:
        raise Failed(f"The wheel says that it is version {found}, not {version}.")
    return [
        "twine finds nothing wrong in the wheel and the sdist",
        "the sdist makes the same wheel, byte for byte",
        "the wheel installs, and says its version",
    ]


def check_npm(tarball: Path, version: str, scratch: Path) -> list[str]:
    """Return a sentence for each thing that holds of the npm package. Raises Failed for the first that does not."""
    with tarfile.open(tarball) as files:
        names = {name.removeprefix("package/") for name in files.getnames()}
    if missing := [name for name in NPM_NEEDS if name not in names]:
        raise Failed(f"The npm package lacks {', '.join(missing)}.")
    run("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--silent", cwd=TOOLS)
    tools = TOOLS / "node_modules" / ".bin"
    run(tools / "publint", "--strict", tarball, cwd=scratch)
    # All its files are ECMAScript modules; Node.js 20 and newer can `require` those.
    run(tools / "attw", tarball, "--profile", "esm-only", "--no-emoji", "--no-color", cwd=scratch)
    (scratch / "package.json").write_text('{"private": true}\n', "utf-8")
    options = ("--prefer-offline", "--no-audit", "--no-fund", "--silent", "--omit=peer")
    run("npm", "install", *options, tarball, cwd=scratch)
    installed = scratch / "node_modules" / "task-relay-client"
    manifest = json.loads((installed / "package.json").read_text("utf-8"))
    if manifest["version"] != version or manifest.get("private"):
        raise Failed(f"The npm package is version {manifest['version']}, private: {manifest.get('private')}.")
    paths = (path for path in manifest["exports"] if "react" not in path and not path.endswith(".json"))
    entries = [_entry(manifest["name"], path) for path in paths]
    run("node", "--no-warnings", "-e", LOAD, *entries, cwd=scratch)
    return [
        "publint and attw find nothing wrong in the npm package",
        f"Node.js imports and requires {', '.join(entries)}",
    ]


def npm_needs() -> str | None:
    """Return what is missing on this machine for the npm package, if anything is."""
    for command in ("node", "npm"):
        try:
            subprocess.run([command, "--version"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return f"{command} is not installed"
    return None


def _entry(name: str, path: str) -> str:
    return name if path == "." else f"{name}/{path.removeprefix('./')}"

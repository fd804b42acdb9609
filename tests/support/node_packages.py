"""Install the packages that a folder's package-lock.json names."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def install_client(folder: Path) -> None:
    """Install the package that `npm pack` makes of the client into this `node_modules`.

    Skips the test if npm is missing.
    """
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    pack = [npm, "pack", "--silent", "--pack-destination", str(folder), "./relay/web"]
    packed = subprocess.run(pack, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    with tarfile.open(folder / packed) as archive:
        archive.extractall(folder, filter="data")
    (folder / "package").rename(folder / "task-relay-client")


def node_packages(folder: Path) -> Path:
    """Return the `node_modules` of this folder, installed as its lock file says. Skips the test if npm is missing.

    Of several test runs in this checkout, one installs while the others wait.
    """
    installed, lock = folder / "node_modules", folder / "package-lock.json"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not _are_locked(lock, installed / ".package-lock.json"):
            npm = shutil.which("npm")
            if npm is None:
                pytest.skip("npm is not installed")
            options = ("--prefer-offline", "--no-audit", "--no-fund", "--silent")
            subprocess.run([npm, "ci", *options], cwd=folder, check=True)
    return installed


def _are_locked(lock: Path, record: Path) -> bool:
    """Whether npm's record of what it installed equals the lock file, except for optional packages."""
    if not record.exists():
        return False
    wanted, present = (json.loads(path.read_text("utf-8"))["packages"] for path in (lock, record))
    return all(
        present.get(path, {}).get("version") == entry.get("version")
        for path, entry in wanted.items()
        if path.startswith("node_modules/") and not entry.get("optional")
    )

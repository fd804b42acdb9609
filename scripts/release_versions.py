"""Where a checkout says which version it is, and whether all places agree. Reads files and Git; changes nothing."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path


class NotReleasable(Exception):
    """This checkout cannot become a release. The message says why, and what to do."""


def git(root: Path, *arguments: str) -> str:
    """Return what this command of Git prints about the checkout. Raises NotReleasable if Git refuses."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotReleasable(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def clean_commit(root: Path) -> str:
    """Return the commit of a checkout without changes. Raises NotReleasable, naming what is changed."""
    changed = git(root, "status", "--porcelain").splitlines()
    if changed:
        names = ", ".join(line.split(maxsplit=1)[1] for line in changed[:5]) + (", …" if changed[5:] else "")
        raise NotReleasable(f"a release is built from a commit; commit or remove first: {names}")
    return git(root, "rev-parse", "HEAD")


def versions(root: Path) -> dict[str, str]:
    """Return each place that says a version, with what it says."""
    web = json.loads((root / "relay/web/package.json").read_text("utf-8"))
    lock = json.loads((root / "relay/web/package-lock.json").read_text("utf-8"))
    chart = (root / "deploy/helm/relay/Chart.yaml").read_text("utf-8")
    image = (root / "Dockerfile").read_text("utf-8")
    return {
        "pyproject.toml": tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"],
        "relay/web/package.json": web["version"],
        "relay/web/package-lock.json": lock["version"],
        "relay/web/package-lock.json, packages": lock["packages"][""]["version"],
        "deploy/helm/relay/Chart.yaml, version": _found(r"^version: *(\S+)", chart),
        "deploy/helm/relay/Chart.yaml, appVersion": _found(r'^appVersion: *"?([^"\s]+)', chart),
        "Dockerfile": _found(r'image\.version="([^"]+)"', image),
        "CHANGELOG.md": _found(r"^## (\S+?),? ", (root / "CHANGELOG.md").read_text("utf-8")),
    }


def version(root: Path) -> str:
    """Return the one version of the checkout. Raises NotReleasable if its places differ."""
    said = versions(root)
    if len(set(said.values())) != 1:
        places = "".join(f"\n  {found:10} {place}" for place, found in said.items())
        raise NotReleasable(f"the places that say the version differ:{places}")
    return said["pyproject.toml"]


def tag(root: Path, wanted: str) -> str | None:
    """Return the tag of this version if the commit has it, and None if the commit has no tag of a version.

    Raises NotReleasable if the tag is of another version, or if CHANGELOG.md calls the tagged version unreleased.
    """
    tags = [name for name in git(root, "tag", "--points-at", "HEAD").split() if re.match(r"v\d", name)]
    if not tags:
        return None
    if f"v{wanted}" not in tags:
        raise NotReleasable(f"the commit has the tag {tags[0]}, but its version is {wanted}")
    heading = (root / "CHANGELOG.md").read_text("utf-8").split("\n## ", 1)[1].splitlines()[0]
    if "unreleased" in heading:
        raise NotReleasable(f"the commit has the tag v{wanted}, but CHANGELOG.md says “{heading}”")
    return f"v{wanted}"


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else "none"

"""scripts/release: what it refuses, and what a release of this checkout consists of."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from support.doc_snippets import ROOT

from scripts.release_build import Failed
from scripts.release_checks import NPM_NEEDS, check_npm
from scripts.release_versions import NotReleasable, clean_commit, tag, version, versions

pytestmark = pytest.mark.timeout(600)  # packages are downloaded the first time

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
PLACES = (
    "pyproject.toml",
    "relay/web/package.json",
    "relay/web/package-lock.json",
    "Dockerfile",
    "CHANGELOG.md",
)
CHART = "deploy/helm/relay/Chart.yaml"


def git(root: Path, *arguments: str) -> None:
    subprocess.run([*GIT, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the files of this checkout that say a version."""
    root = tmp_path / "checkout"
    for place in (*PLACES, CHART):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / place, root / place)
    git(tmp_path, "init", "--quiet", str(root))
    commit(root)
    return root


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "a commit")


def replace(root: Path, place: str, old: str, new: str) -> None:
    text = (root / place).read_text("utf-8")
    assert old in text
    (root / place).write_text(text.replace(old, new), "utf-8")


def test_this_checkout_says_one_version() -> None:
    assert version(ROOT) == "0.1.0"


@pytest.mark.parametrize(
    ("place", "old"),
    [(place, "0.1.0") for place in (*PLACES, CHART)] + [(CHART, "appVersion: 0.1.0")],
    ids=[*PLACES, CHART, "appVersion"],
)
def test_a_version_that_differs_in_one_place_is_refused(checkout: Path, place: str, old: str) -> None:
    replace(checkout, place, old, old.replace("0.1.0", "0.2.0"))
    with pytest.raises(NotReleasable, match=r"0\.2\.0 +" + place.replace(".", r"\.")):
        version(checkout)


def test_a_place_that_says_no_version_is_refused(checkout: Path) -> None:
    replace(checkout, "Dockerfile", "image.version", "image.edition")
    with pytest.raises(NotReleasable, match=r"none +Dockerfile"):
        version(checkout)
    assert versions(checkout)["Dockerfile"] == "none"


def test_changes_that_are_not_committed_are_named(checkout: Path) -> None:
    replace(checkout, "Dockerfile", "EXPOSE 8080", "EXPOSE 8081")
    (checkout / "left behind").touch()
    with pytest.raises(NotReleasable, match=r'Dockerfile, "left behind"'):
        clean_commit(checkout)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReleasable, match=r"git status: .*not a git repository"):
        clean_commit(tmp_path)


def test_a_tag_has_to_be_that_of_the_version(checkout: Path) -> None:
    # Given a commit without a tag, and with one that is of no version,
    git(checkout, "tag", "nightly")
    assert tag(checkout, "0.1.0") is None
    # when it is tagged while CHANGELOG.md calls the version unreleased, it is refused.
    git(checkout, "tag", "v0.1.0")
    with pytest.raises(NotReleasable, match=r"“0\.1\.0, unreleased”"):
        tag(checkout, "0.1.0")
    # A version with its date is accepted,
    replace(checkout, "CHANGELOG.md", "0.1.0, unreleased", "0.1.0, 2026-12-01")
    assert tag(checkout, "0.1.0") == "v0.1.0"
    assert version(checkout) == "0.1.0"
    # and one with the tag of another version is refused.
    with pytest.raises(NotReleasable, match=r"the tag v0\.1\.0, but its version is 0\.2\.0"):
        tag(checkout, "0.2.0")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commit of this checkout as it is now, with changes that are not committed yet, in a repository of its own."""
    root = tmp_path_factory.mktemp("release") / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    git(root.parent, "init", "--quiet", str(root))
    commit(root)
    return root


def release(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script of this checkout, with its environment, on the repository at `root`."""
    return subprocess.run(
        [str(ROOT / "scripts" / "release"), "--root", str(root), "--no-image", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SOURCE_DATE_EPOCH": "1"},  # the time of the commit counts, not this one
    )


def test_a_release_is_built_and_checked_and_nothing_is_left_of_one_that_fails(
    clean: Path, tmp_path: Path
) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    # When a commit with a tag is built with the address of its repository,
    replace(clean, "CHANGELOG.md", "0.1.0, unreleased", "0.1.0, 2026-12-01")
    commit(clean)
    git(clean, "tag", "v0.1.0")
    first = release(
        clean, "--output", str(tmp_path / "first"), "--repository", "https://git.example.com/relay.git"
    )
    assert first.returncode == 0, first.stderr
    # then there are the packages and what identifies them, each was checked, and how to publish is said.
    files = {path.name: path for path in (tmp_path / "first").iterdir()}
    packages = {"task_relay-0.1.0-py3-none-any.whl", "task_relay-0.1.0.tar.gz", "task-relay-client-0.1.0.tgz"}
    assert set(files) == packages | {"SHA256SUMS", "release.json"}
    assert first.stderr.count("  ok: ") == 5
    assert "npm publish" in first.stderr
    assert "--provenance" in first.stderr
    made = json.loads(files["release.json"].read_text("utf-8"))
    assert (made["version"], made["tag"], made["image"]) == ("0.1.0", "v0.1.0", None)
    digests = {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in packages}
    assert made["sha256"] == digests
    assert files["SHA256SUMS"].read_text("utf-8").split() == [
        word for name, found in made["sha256"].items() for word in (found, name)
    ]
    packed = subprocess.run(
        ["tar", "-xzOf", str(files["task-relay-client-0.1.0.tgz"]), "package/package.json"],
        check=True,
        capture_output=True,
    )
    assert json.loads(packed.stdout)["repository"]["url"] == "https://git.example.com/relay.git"
    # A folder that has a release already is not written over,
    again = release(clean, "--output", str(tmp_path / "first"))
    assert (again.returncode, "is not empty" in again.stderr) == (3, True)
    # and nothing is left of a release that fails.
    (clean / "README.md").unlink()
    git(clean, "tag", "--delete", "v0.1.0")
    commit(clean)
    failed = release(clean, "--output", str(tmp_path / "second"))
    assert (failed.returncode, "README.md" in failed.stderr) == (1, True), failed.stderr
    assert not (tmp_path / "second").exists()


def test_an_npm_package_without_a_needed_file_is_refused(tmp_path: Path) -> None:
    tarball = tmp_path / "package.tgz"
    with tarfile.open(tarball, "w:gz") as files:
        for name in NPM_NEEDS[1:]:
            files.addfile(tarfile.TarInfo(f"package/{name}"))
    with pytest.raises(Failed, match=f"The npm package lacks {NPM_NEEDS[0]}"):
        check_npm(tarball, "0.1.0", tmp_path)


def test_the_npm_package_has_the_license_of_the_project() -> None:
    assert (ROOT / "relay/web/LICENSE").read_text("utf-8") == (ROOT / "LICENSE").read_text("utf-8")

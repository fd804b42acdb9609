"""Reads the values of secret settings from files that the environment names, as in RELAY_JWT_SECRET_FILE.

Rules of this file: a sentence about a file names the variable and the path, never the content; a value that may be the
secret itself, given by mistake where its path belongs, is not shown either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from relay.errors import StartupError, may_be_secret
from relay.file_content import content_of

SUFFIX = "_FILE"
MAX_FILE_BYTES = 64 * 1024

# A path is shown only if it begins like one, does not end like base64, and none of its words is as long as a key: half
# of all keys in base64 have a slash in them. This is what divides a path into its words.
_BETWEEN_WORDS = re.compile(r"[/\\._-]")


def variable(name: str) -> str:
    """Return the name of the variable that names the file of this setting: `RELAY_X_FILE` for `relay_x`."""
    return f"{name.upper()}{SUFFIX}"


def named(environment: Mapping[str, str], settings: Collection[str]) -> dict[str, str]:
    """Return the path of each of these settings that comes from a file, by the setting's name."""
    given = {name.upper(): value.strip() for name, value in environment.items()}
    return {name: path for name in settings if (path := given.get(variable(name), ""))}


def read(environment: Mapping[str, str], settings: Collection[str]) -> dict[str, str]:
    """Return the value of each of these settings that comes from a file, without the newline at its end.

    Raises StartupError if a setting has a value of its own as well, or if its file cannot be read, contains nothing but
    blanks, is not UTF-8 or is larger than MAX_FILE_BYTES.
    """
    given = {name.upper(): value.strip() for name, value in environment.items()}
    files = named(environment, settings)
    for name in sorted(files):
        if given.get(name.upper()):
            raise StartupError(
                f"{variable(name)}: cannot be set together with {name.upper()}: only one can be meant."
            )
    return {name: _content(variable(name), path) for name, path in sorted(files.items())}


def _content(name: str, path: str) -> str:
    try:
        content = content_of(Path(path), MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or "that is no path"
        raise StartupError(f"{name}: {_shown(path)} cannot be read ({reason}).") from None
    if len(content) > MAX_FILE_BYTES:
        raise StartupError(f"{name}: {_shown(path)} is larger than {MAX_FILE_BYTES // 1024} KiB.")
    try:
        text = content.decode(
            "utf-8-sig"
        )  # some editors write a byte order mark, which is never part of a secret
    except UnicodeDecodeError:
        raise StartupError(f"{name}: {_shown(path)} is not UTF-8.") from None
    if not text.strip():  # also blanks alone, which would count as a variable that is not set
        raise StartupError(f"{name}: {_shown(path)} is empty.")
    return text.removesuffix("\n").removesuffix("\r")


def _shown(path: str) -> str:
    words = _BETWEEN_WORDS.sub(" ", path)
    is_like_one = path.startswith(("/", "./", "../")) and not path.endswith("=")
    if not is_like_one or "://" in path or may_be_secret(words):
        return "the file (its name is not shown, because it may be the secret itself)"
    return path

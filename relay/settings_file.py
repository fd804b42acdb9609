"""Reads the settings file that RELAY_SETTINGS_FILE names: lines of `NAME=value`, as in deploy/relay.env.

systemd (`EnvironmentFile=`) and Docker Compose (`.env`, `env_file`) read the same kind of file, and differ in details
such as `\\` and `$`. Rules of this file: what the two read differently is refused with the number of its line, so that
one file means the same to all three; no message contains a value, because it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from relay.errors import StartupError
from relay.file_content import content_of

VARIABLE = "RELAY_SETTINGS_FILE"
MAX_BYTES = 1024 * 1024

_ASSIGNMENT = re.compile(r"[ \t]*([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_QUOTED = re.compile(r"'([^']*)'[ \t]*|\"([^\"]*)\"[ \t]*")


class BadLine(ValueError):
    """A line that cannot be read. The message is a clause such as `line 3 has no name and = at its beginning`."""


def read(path: Path) -> dict[str, str]:
    """Return the values in this file, by their names in capitals. Of a name that occurs twice, the last value counts.

    Raises StartupError, with one sentence, if the file cannot be read or one of its lines cannot be understood.
    """
    if any("\ud800" <= char <= "\udfff" for char in str(path)):
        raise StartupError(f"{VARIABLE}: must be UTF-8.")
    try:
        raw = content_of(path, MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise StartupError(f"{VARIABLE}: the file is larger than {MAX_BYTES // 1024} KiB.")
        return parse(raw.decode())
    except BadLine as failure:
        raise StartupError(f"{VARIABLE}: {failure}.") from None
    except UnicodeDecodeError:
        raise StartupError(f"{VARIABLE}: the file is not UTF-8.") from None
    except (OSError, ValueError) as failure:  # ValueError: a path with a NUL
        reason = getattr(failure, "strerror", None) or "its path is not valid"
        raise StartupError(f"{VARIABLE}: the file cannot be read: {reason}.") from None


def beneath(environment: Mapping[str, str]) -> dict[str, str]:
    """Return this environment, and of the settings file that it names the values that the environment does not have.

    It is for what has to be known before the settings are read, so it raises nothing: without a file that can be read,
    it returns the environment alone. It does not read a pipe, whose content can be read only once.
    """
    file, names = Path(environment.get(VARIABLE, "")), {name.upper() for name in environment}
    try:
        written = read(file) if file.is_file() else {}
    except (StartupError, OSError, ValueError):  # ValueError: a path with a NUL
        written = {}
    return {name: value for name, value in written.items() if name not in names} | dict(environment)


def parse(text: str) -> dict[str, str]:
    """Return the values in the text of a settings file, by their names in capitals. Raises BadLine."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        bare = line.strip(" \t")
        if bare.startswith("#"):
            if line.endswith("\\"):
                raise BadLine(f"line {number} is a comment that ends in \\, which systemd continues")
        elif bare:
            name, value = _assignment(line, number)
            found[name] = value
    return found


def _assignment(line: str, number: int) -> tuple[str, str]:
    """Return the name in capitals and the value of a line that is neither empty nor a comment. Raises BadLine."""
    if any(char < " " and char != "\t" for char in line) or "\x7f" in line:
        raise BadLine(f"line {number} has a control character")
    parts = _ASSIGNMENT.fullmatch(line)
    if parts is None:
        raise BadLine(f"line {number} does not begin with a name and =")
    name = parts[1].upper()
    if name == VARIABLE:
        raise BadLine(f"line {number} sets {VARIABLE}, which only the environment can")
    return name, _value(parts[2], f"line {number} ({name})")


def _value(written: str, where: str) -> str:
    """Return the value that is written behind the =. `where` names its line. Raises BadLine."""
    if "\\" in written:
        raise BadLine(f"{where} has a \\, which systemd and Docker Compose read differently")
    if written[:1] in ("'", '"'):
        quoted = _QUOTED.fullmatch(written)
        if quoted is None:
            raise BadLine(f"{where} has quotes that do not enclose the whole value on this line")
        value = quoted[1] if quoted[1] is not None else quoted[2]
        if quoted[1] is None and ("$" in value or "`" in value):
            raise BadLine(f"{where} has $ or ` in double quotes; write it in single quotes")
        return value
    if written[:1] in (" ", "\t"):
        raise BadLine(f"{where} has a space behind the =")
    if "$" in written:
        raise BadLine(f"{where} has a $ without quotes; write the value in single quotes")
    if re.search(r"[ \t]#", written):
        raise BadLine(
            f"{where} has a # behind a space; a comment needs a line of its own, a value single quotes"
        )
    return written.rstrip(" \t")

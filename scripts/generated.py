"""Write the parts of the documents whose source is the code: settings, commands, secrets, the wire, capacity.

A generated part stands between two comments, `<!-- NAME: ARGUMENT -->` and `<!-- /NAME -->`. NAME is a function of
`GENERATORS`, ARGUMENT (optional) what it is called with. `scripts/generate` writes all parts again, and the files of
`WHOLE`; tests/project/test_generated.py fails while one of them differs from what the code says.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import typer

from relay.cli.commands import cli
from relay.config import SECRETS, Settings
from relay.secret_files import variable
from relay.tasks import names as secret_names
from relay.tasks.shapes import SHAPES
from scripts import (
    capacity_table,
    generated_board,
    generated_chart,
    generated_deployment,
    generated_go,
    generated_javascript,
    generated_overloads,
    generated_states,
    generated_wire,
)
from scripts.generated_settings import accepted, default, descriptions

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "relay" / "PROTOCOL.md", *sorted((ROOT / "docs").rglob("*.md")))
PART = re.compile(r"(<!-- (\w+)(?:: ([^>]+))? -->\n)(.*?)(<!-- /\2 -->)", re.DOTALL)


def updated(page: str) -> str:
    """The text of a page with every generated part as the code has it now."""

    def part(found: re.Match[str]) -> str:
        begin, name, argument, _, end = found.groups()
        made = GENERATORS[name](argument or "")
        return f"{begin}\n{made.strip()}\n\n{end}"

    return PART.sub(part, page)


# Settings


def settings(names: str) -> str:
    """The table of the settings from one name to another, as in `RELAY_HOST to RELAY_ADMIN_PORT`."""
    first, last = (name.lower() for name in names.split(" to "))
    known = list(Settings.model_fields)
    described = descriptions(Settings)
    rows = ["| variable | default | what it does |", "| --- | --- | --- |"]
    for name in known[known.index(first) : known.index(last) + 1]:
        field = Settings.model_fields[name]
        file = f" Or `{variable(name)}`." if name in SECRETS else ""
        rows.append(f"| `{name.upper()}` | {default(field)} | {described[name]}{accepted(field)}{file} |")
    return "\n".join(rows)


# Commands


def command(name: str) -> str:
    """What a command does and the table of its arguments and options, as `relay NAME --help` has them. The name of a
    command of a group has two words: `admin ls`."""
    made = typer.main.get_command(cli)
    for word in name.split():
        made = made.commands[word]  # type: ignore[attr-defined]
    context = typer.Context(made, info_name=f"relay {name}")
    records = [parameter.get_help_record(context) for parameter in made.get_params(context)]
    rows = [_option(*record) for record in records if record and not record[0].startswith("--help")]
    table = ["| option | what it does |", "| --- | --- |", *rows] if rows else []
    return "\n\n".join(part for part in (_prose(made.help), "\n".join(table), _prose(made.epilog)) if part)


def _prose(text: str | None) -> str:
    return textwrap.fill(text or "", 120, break_long_words=False, break_on_hyphens=False)


VALUES = {"int range": "N", "float range": "N", "str": "TEXT", "list[str]": "TEXT", "path": "PATH"}


def _option(spelled: str, described: str) -> str:
    """One row of the table. Typer's record of an option is `--port <int range>` and `Port.  [default: 80; x>=0]`."""
    spelled = re.sub("<(.*)>", lambda found: VALUES[found[1]], spelled)
    if not spelled.startswith("-"):  # an argument, whose name says what its value is
        spelled = spelled.split()[0]
    described, _, extra = described.partition("  [")
    facts = [
        fact[:1].upper() + fact[1:] if fact[0].isalpha() and "=" not in fact else _limits(fact)
        for fact in extra.removesuffix("]").split("; ")
        if fact
    ]
    return f"| `{spelled}` | {' '.join([described, *(f'{fact}.' for fact in facts)])} |"


def _limits(range_: str) -> str:
    return "Accepted: " + range_.replace("x", "N").replace("<=", " ≤ ").replace(">=", " ≥ ")


# Redaction


def names(of: str) -> str:
    """One of the lists of `relay/tasks/names.py`, as in `NAMES`."""
    listed = ", ".join(f"`{name}`" for name in getattr(secret_names, of))
    return _prose(f"{listed}.")


def shapes(_: str) -> str:
    """The table of the secrets that are known by their shape."""
    rows = [f"| {shape.of} | {shape.looks} | {shape.source} |" for shape in SHAPES]
    return "\n".join(["| what | how it looks | source |", "| --- | --- | --- |", *rows])


GENERATORS: dict[str, Callable[[str], str]] = {
    "settings": settings,
    "command": command,
    "names": names,
    "shapes": shapes,
    "requests": generated_wire.requests,
    "messages": generated_wire.messages,
    "types": generated_wire.types,
    "capacity": capacity_table.examples,
    "measured": capacity_table.measured,
    "assumed": capacity_table.assumed,
    "states": generated_states.states,
    "transitions": generated_states.transitions,
}
WHOLE: dict[Path, Callable[[], str]] = {
    **generated_javascript.FILES,
    ROOT / "relay" / "client" / "typed_messages.py": generated_overloads.typed_messages,
    ROOT / "examples" / "go" / "relay" / "types.go": generated_go.types,
    ROOT / ".github" / "figures.svg": generated_chart.svg,
    **generated_deployment.WHOLE,
    **generated_board.WHOLE,
}


def main() -> None:
    made = {page: updated(page.read_text("utf-8")) for page in PAGES}
    made |= {file: make() for file, make in WHOLE.items()}
    for path, text in made.items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()

"""The arguments of `relay tail`. What takes long to import is imported in the function: `--help` stays quick."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from relay import config
from relay.cli import logs, loop
from relay.cli.settings_warnings import warn_of_unknown

TAIL_EXIT_CODES = (
    "Exit codes: 0 after --count, --duration or Ctrl-C, when the reader of standard output leaves, or when nothing is "
    "left to follow; with --until, 0 after its message and 1 if one of these came before; 2 for bad arguments; 3 if "
    "nobody answers, or the relay refuses. Messages go to standard output, notices to standard error. "
    "Example: relay tail --json --type task:pr_opened | jq -r '[.data.taskId, .data.prUrl] | @tsv'"
)


def tail(
    url: Annotated[str | None, typer.Option(help="The relay's address; RELAY_URL.")] = None,
    token: Annotated[
        str | None, typer.Option(help="The token; RELAY_TOKEN keeps it out of the process list.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="A task to follow; may be repeated.")] = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Follow the list of tasks; the default when no task is named.")
    ] = False,
    since: Annotated[int | None, typer.Option(min=0, help="Print the timeline from this index on.")] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Print only messages of this type, such as task:pr_opened, or with event:TYPE those that bring an "
            "event of this type; may be repeated.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Print the first message of this type (as in --type), and end."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One message a line, as received.")] = False,
    duration: Annotated[float | None, typer.Option(min=0.001, help="End after this many seconds.")] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="End after this many lines of messages; with --direct, changes.")
    ] = None,
    direct: Annotated[
        bool,
        typer.Option(
            "--direct",
            help="Follow MongoDB itself (RELAY_MONGO_URL, RELAY_MAPPING, …): what each writer did, and the messages "
            "that the relay makes of it. No user's rights apply without --sub.",
        ),
    ] = False,
    sub: Annotated[
        str | None, typer.Option(help="With --direct: only what this user is sent, by the visibility rules.")
    ] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option(help="With --sub: name=value; a value with commas, or given twice, is a list."),
    ] = None,
) -> None:
    """Follow the relay's messages on a terminal; reconnects and resumes."""
    from relay.cli.tail.options import EXIT_BAD_ARGUMENTS, Selection

    wanted = Selection(
        tasks=tuple(task or ()),
        dashboard=dashboard,
        since=since,
        json=json,
        duration=duration,
        count=count,
        types=tuple(kind or ()),
        until=until,
    )
    if sub is not None and not direct:
        raise typer.BadParameter("--sub needs --direct: a relay knows its user by the token.")
    if sub == "":
        raise typer.BadParameter("--sub must not be empty.")
    if claim and sub is None:
        raise typer.BadParameter("--claim needs --sub.")
    if direct:
        if url is not None or token is not None:
            raise typer.BadParameter("--direct follows MongoDB: --url and --token are a relay's.")
        from relay.cli.tail import direct as database
        from relay.cli.token import claims_of

        logs.configure("console", "WARNING")
        settings = config.load()
        warn_of_unknown(settings)
        claims = None if sub is None else claims_of(sub, claim or ())
        work = database.run(settings, wanted, claims, out=sys.stdout, err=sys.stderr)
        raise typer.Exit(loop.run(work))
    from relay.cli.tail import follow

    token = (
        token or os.environ.get("RELAY_TOKEN", "").strip()
    )  # one that was read from a file ends in a newline
    if not token:
        typer.echo("relay tail: a token is needed, with --token or in RELAY_TOKEN.", err=True)
        raise typer.Exit(EXIT_BAD_ARGUMENTS)
    url = url or os.environ.get("RELAY_URL", "").strip() or "http://127.0.0.1:8080"
    raise typer.Exit(loop.run(follow.run(url, token, wanted, out=sys.stdout, err=sys.stderr)))

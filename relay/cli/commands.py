"""The commands of `relay`: serve, check, config, explain, demo, mongod, tail, conformance, token, schema.

`relay/cli/admin/commands.py` has those of `relay admin`.

Exit codes:

- 0: the command did its work. Also when the program that reads its standard output closed it.
- 1: `check` found a problem, `conformance` a fault, or `explain` that the user may not see the task.
- 2: the arguments are wrong.
- 3: the command could not start, or could not print its result. One sentence on standard error says why.
- 130: a second Ctrl-C ended it, or one that came before the command had begun.

Rule of this file: what takes long to import is imported inside a command, so that `relay --help` stays quick.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
import traceback
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay import config, settings_file
from relay.cli import failures, logs, loop, output, process
from relay.cli.admin.commands import admin
from relay.cli.answering import answering
from relay.cli.conformance.command import CONFORMANCE_EXIT_CODES, conformance
from relay.cli.settings_warnings import warn_of_unknown
from relay.cli.tail_command import TAIL_EXIT_CODES, tail
from relay.errors import StartupError

if TYPE_CHECKING:
    from relay.cli.explain.run import Asked

log = logging.getLogger(__name__)

EXIT_CANNOT_START = 3

cli = typer.Typer(
    name="relay",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

cli.add_typer(admin, name="admin")

Port = Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes any free port.")]


def main() -> None:
    """Run the command that this process's arguments name, and end the process."""
    process.leave_on_interrupt()
    process.end(run())


def run() -> int:
    """Run the command that this process's arguments name, and return its exit code.

    On return, everything is printed, or standard error says that it could not be.
    """
    output.prepare()
    if next((one for one in sys.argv[1:] if not one.startswith("-")), "") == "serve":
        logs.begin(settings_file.beneath(os.environ))
    try:
        code = _command()
        sys.stdout.flush()
    except (output.Unwritable, output.ReaderLeft, StartupError) as failure:
        return _explain(failure)
    except KeyboardInterrupt:
        return process.EXIT_INTERRUPTED
    except BaseException:
        if logs.is_json():
            log.critical("the relay failed", exc_info=True)
        else:
            traceback.print_exc()
        return 1
    return code


def _command() -> int:
    """Run the command and return its exit code. Raises ReaderLeft, Unwritable or StartupError."""
    try:
        cli(prog_name="relay")  # also for `python -m relay`
    except SystemExit as ending:
        left = output.reader_left(
            ending
        )  # typer and rich exit with codes of their own when the reader leaves
        if left is not None:
            raise left from None
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    return 0


def _explain(failure: Exception) -> int:
    """Print why the command failed, and return its exit code."""
    if isinstance(failure, output.ReaderLeft):
        return 0
    if isinstance(failure, output.Unwritable):
        failure = StartupError(f"Standard output cannot be written: {failure.strerror}.")
    if logs.is_json():
        logs.say("the relay cannot start", logging.CRITICAL, reason=str(failure))
    else:
        typer.echo(f"relay: {failure}", err=True)
    return EXIT_CANNOT_START


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"relay {version('task-relay')}")
        raise typer.Exit


@cli.callback()
def relay(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version, and end.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Live updates for tasks in MongoDB: tails the change stream, pushes typed messages over WebSocket."""


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; RELAY_HOST.")] = None,
    port: Port = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Processes that serve clients; auto starts one for each core; RELAY_WORKERS."
        ),
    ] = None,
    worker_ports: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST",
            help="Also give each worker a port of its own from this one on, or, with unix:DIRECTORY, a Unix socket; "
            "RELAY_WORKER_PORTS.",
        ),
    ] = None,
) -> None:
    """Run the relay, configured by the environment (RELAY_MONGO_URL, RELAY_JWT_SECRET, …)."""
    from relay.cli import serve as serving

    read = partial(
        config.load,
        relay_host=host,
        relay_port=port,
        relay_listen=None if port is None else "",  # whoever names a port here wants it opened
        relay_workers=workers,
        relay_worker_ports=worker_ports,
    )
    settings = read()
    logs.configure(settings.relay_log_format, settings.relay_log_level)
    for warning in config.warnings(settings):
        log.warning(warning)
    work = serving.run(settings, read, _say_listening)
    log.info("relay starting", extra=serving.description(settings))
    began = time.monotonic()
    code = loop.run(work)
    log.info("relay stopped", extra={"seconds": round(time.monotonic() - began, 3), "exitCode": code})
    raise typer.Exit(code)


def _say_listening(url: str) -> None:
    # Scripts and process managers wait for the text, so it does not change.
    if logs.is_json():
        logs.say("listening", url=url)
    else:
        typer.echo(f"relay: listening on {url}", err=True)


@cli.command()
def check(
    sample: Annotated[
        int, typer.Option(min=0, max=100, help="How many of the newest documents to read.")
    ] = 20,
    role: Annotated[
        bool, typer.Option("--role", help="Also print the least role the relay's user needs.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
) -> None:
    """Say whether this database and this mapping will work; reads only."""
    from relay.cli.check import run as checking

    with answering(json, failures.of_check):
        settings = config.load()
        warn_of_unknown(settings)
        code = loop.run(checking.run(settings, sys.stdout, sample=sample, role=role, as_json=json))
    raise typer.Exit(code)


@cli.command("config")
def show_config(
    json: Annotated[bool, typer.Option("--json", help="The values as one JSON object.")] = False,
) -> None:
    """Print the settings and the mapping in force, and where each value comes from; secrets are hidden."""
    from relay.cli import shown_settings

    with answering(json, failures.of_config):
        settings = config.load()
        warn_of_unknown(settings)
        code = shown_settings.run(settings, sys.stdout, sys.stderr, as_json=json)
    raise typer.Exit(code)


@cli.command()
def explain(
    task: Annotated[str, typer.Option(help="The taskId.")],
    token: Annotated[
        str | None, typer.Option(help="The user's token; RELAY_TOKEN keeps it out of the process list.")
    ] = None,
    sub: Annotated[str | None, typer.Option(help="The user, in place of a token.")] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option(help="With --sub: name=value; a value with commas, or given twice, is a list."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The explanation as one JSON object.")] = False,
) -> None:
    """Say why a user may see a task, or why not; reads only."""
    from relay.cli.explain import run as explaining

    asked = _asked(task, token, sub, claim or [])
    logs.configure("console", "WARNING")
    with answering(json, failures.of_explain):
        settings = config.load()
        warn_of_unknown(settings)
        code = loop.run(explaining.run(settings, asked, sys.stdout, sys.stderr, as_json=json))
    raise typer.Exit(code)


def _asked(task: str, token: str | None, sub: str | None, pairs: list[str]) -> Asked:
    """Return the question of `relay explain`. Raises BadParameter for options that do not belong together."""
    from relay.cli.explain.run import Asked
    from relay.cli.token import claims_of

    if sub is not None and token is not None:
        raise typer.BadParameter("--sub is for a user without a token.")
    if sub is None and pairs:
        raise typer.BadParameter("--claim needs --sub: a token has its own claims.")
    if sub is None:
        token = token or os.environ.get("RELAY_TOKEN", "").strip()
        if not token:
            raise typer.BadParameter("A token is needed, with --token or in RELAY_TOKEN, or --sub.")
    if sub == "":
        raise typer.BadParameter("--sub must not be empty.")
    if any("\ud800" <= char <= "\udfff" for text in (task, sub or "", *pairs) for char in text):
        raise typer.BadParameter("--task, --sub and --claim must be UTF-8.")
    return Asked(task, token, {} if sub is None else claims_of(sub, pairs))


@cli.command()
def demo(
    port: Port = 8080,
    once: Annotated[
        bool, typer.Option("--once", help="Play one task's life, print every message received, and end.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Keep the database here instead of a temporary directory.")
    ] = None,
    pace: Annotated[
        float, typer.Option(min=0.01, max=3600, help="Seconds between two steps of a task's life.")
    ] = 1.5,
) -> None:
    """Show the whole thing: a real MongoDB, a legacy-style writer, the relay, and a page per user."""
    from relay.cli.demo import show

    work = show.once(data=data) if once else show.forever(port=port or 0, data=data, pace=pace)
    raise typer.Exit(loop.run(work))


@cli.command()
def mongod(
    port: Port = None,
    data: Annotated[Path | None, typer.Option(help="Keep the database here.")] = None,
) -> None:
    """Run only the embedded replica set, in the foreground, and print its URL."""
    from relay.cli.demo import mongod as embedded
    from relay.cli.signals import on_signals

    async def run() -> None:
        stop = asyncio.Event()
        on_signals(stop.set)
        with embedded.start(port=port, data=data) as server:
            typer.echo(server.url)
            await stop.wait()

    raise typer.Exit(loop.run(run()))


cli.command(epilog=TAIL_EXIT_CODES)(tail)
cli.command(epilog=CONFORMANCE_EXIT_CODES)(conformance)


@cli.command()
def token(
    sub: Annotated[str, typer.Option(help="The user.")],
    claim: Annotated[
        list[str] | None, typer.Option(help="name=value; a value with commas, or given twice, is a list.")
    ] = None,
    ttl: Annotated[str, typer.Option(help="How long it is valid: 90s, 30m, 1h, 7d.")] = "1h",
) -> None:
    """Print a development token signed with RELAY_JWT_SECRET, with the first if it has several."""
    from relay.cli.token import signed

    typer.echo(signed(config.load(), sub, claim or (), ttl, now=time.time()))


@cli.command()
def schema(
    asyncapi: Annotated[
        bool, typer.Option("--asyncapi", help="As an AsyncAPI 3 document instead of a JSON Schema.")
    ] = False,
) -> None:
    """Print the JSON Schema of every message; a relay serves the same at /schema.json."""
    from json import dumps

    from relay.protocol import schema as schemas

    made = schemas.asyncapi() if asyncapi else schemas.json_schema()
    typer.echo(dumps(made, indent=2))  # dumps writes ASCII, which every encoding of standard output can write

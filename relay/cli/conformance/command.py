"""The arguments of `relay conformance`. What takes long to import is imported in the function: `--help` stays quick."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from relay.cli import loop

CONFORMANCE_EXIT_CODES = (
    "Exit codes: 0 no fault; 1 faults, each named in a sentence with its section of PROTOCOL.md; 2 bad arguments; 3 if "
    "the client cannot be started."
)


def conformance(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND...",
            help="The client, after --. {url}, {ws_url}, {token_url} and {task} in it are replaced; the environment "
            "has them as RELAY_URL, RELAY_WS_URL, RELAY_TOKEN_URL and RELAY_TASK.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Play only this scenario; may be repeated.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave this scenario out; may be repeated.")
    ] = None,
    patience: Annotated[
        float,
        typer.Option(min=0.1, max=600, help="Seconds that the client has for each thing expected of it."),
    ] = 10.0,
    at_once: Annotated[int, typer.Option(min=1, max=100, help="How many scenarios are played at once.")] = 8,
    trace: Annotated[
        bool, typer.Option("--trace", help="Below a fault, print the last messages in both directions.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
    show: Annotated[bool, typer.Option("--list", help="Print the scenarios, and end.")] = False,
) -> None:
    """Play the relay against a client of any language, and say what it does wrong."""
    from relay.cli.conformance import run as examining

    if show:
        typer.echo(examining.listing())
        return
    if not command:
        raise typer.BadParameter(
            "The command of the client is missing: relay conformance -- ./client {ws_url}"
        )
    try:
        chosen = examining.choose(only or (), without or ())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    work = examining.run(
        command, chosen, sys.stdout, patience_s=patience, at_once=at_once, trace=trace, as_json=json
    )
    raise typer.Exit(loop.run(work))

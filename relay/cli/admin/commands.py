"""The commands of `relay admin` and their arguments: ls, show, kick, reload, stats.

Exit codes are those of `relay`; 1 means that a worker did not answer, so that the result is not whole.

Rule of this file: what takes long to import is imported inside a command, so that `relay --help` stays quick.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay import config
from relay.cli import failures, loop
from relay.cli.answering import answering
from relay.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_NOT_WHOLE = 1

admin = typer.Typer(
    no_args_is_help=True,
    help="Say who is connected to a running relay, disconnect a user, or reload the settings; needs its "
    "RELAY_ADMIN_PORT.",
    epilog="Exit codes: 0 done; 1 a worker did not answer, so the result is not whole; 2 bad arguments; 3 nobody "
    "answers, or the relay refuses.",
)

Url = Annotated[
    str | None,
    typer.Option(
        help="Address of the admin port; RELAY_ADMIN_URL, else from RELAY_HOST and RELAY_ADMIN_PORT."
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        help="A token with the claim of RELAY_ADMIN_CLAIM; RELAY_TOKEN keeps it out of the process list."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="The answer as one JSON object.")]


@admin.command("ls")
def ls(
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, help="How many to list; the oldest come first.")
    ] = 100,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """List the connections and waiting polls."""
    from urllib.parse import urlencode

    from relay.cli.admin import tables

    if user == "":  # most likely of a script whose variable is empty, which would be told of everybody
        raise typer.BadParameter("A user is needed: --user must not be empty.")
    query = {"limit": str(limit)} | ({} if user is None else {"user": _utf8(user)})
    _ask(url, token, "GET", f"/admin/connections?{urlencode(query)}", tables.connections, json)


@admin.command()
def show(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The taskId.")],
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Say who listens to a task."""
    from relay.cli.admin import tables

    _ask(url, token, "GET", f"/admin/tasks/{_segment(task)}", tables.listeners, json)


@admin.command()
def kick(
    sub: Annotated[str, typer.Argument(metavar="SUB", help="The user, as in the sub of the token.")],
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Disconnect a user everywhere; the same token does not bring the user's clients back by themselves."""
    from relay.cli.admin import tables

    if not sub:
        raise typer.BadParameter("A user is needed: SUB must not be empty.")
    _ask(
        url, token, "DELETE", f"/admin/users/{_segment(sub)}", lambda answer: tables.kicked(sub, answer), json
    )


@admin.command()
def reload(url: Url = None, token: Token = None, json: Json = False) -> None:
    """Have the relay read its settings again, as SIGHUP does, and say which have changed."""
    from relay.cli.admin import tables
    from relay.cli.admin.request import RELOADED_WITHIN_S

    _ask(url, token, "POST", "/admin/reload", tables.reloaded, json, within_s=RELOADED_WITHIN_S)


@admin.command()
def stats(url: Url = None, token: Token = None, json: Json = False) -> None:
    """Print figures about the relay and its workers."""
    from relay.cli.admin import tables

    _ask(url, token, "GET", "/admin/stats", tables.stats, json)


def _ask(
    url: str | None,
    token: str | None,
    method: str,
    path: str,
    table: Callable[[dict[str, Any]], str],
    as_json: bool,
    *,
    within_s: float | None = None,
) -> None:
    """Send a request to the admin API, and print its answer, as a table or as JSON. `within_s` is how long the answer
    may take, in seconds, if that is longer than usual."""
    from json import dumps

    from relay.cli.admin.request import WITHIN_S, ask

    token = token or os.environ.get("RELAY_TOKEN", "").strip()
    if not token:
        raise typer.BadParameter("A token is needed, with --token or in RELAY_TOKEN.")
    answers: list[dict[str, Any]] = []

    async def asking() -> None:
        answers.append(await ask(_address(url), token, method, path, within_s=within_s or WITHIN_S))

    with answering(as_json, failures.of_admin):
        if interrupted := loop.run(asking()):
            raise typer.Exit(interrupted)
    (answer,) = answers
    typer.echo(dumps(answer) if as_json else table(answer))
    if silent := answer.get("unanswered"):
        which = ", ".join(map(str, silent))
        typer.echo(f"relay admin: no answer from worker {which}, so this is not the whole result.", err=True)
        raise typer.Exit(EXIT_NOT_WHOLE)


def _address(given: str | None) -> str:
    """Return the address of the admin port, without a slash at its end. Raises BadParameter for one that is none, and
    StartupError if nothing names one."""
    from relay.gateway.listening import scheme_of, shown
    from relay.urls import public_url

    given = given or os.environ.get("RELAY_ADMIN_URL", "").strip()
    if given:
        try:
            return public_url(given).removesuffix("/admin")  # the address of the page is as good
        except ValueError as failure:
            raise typer.BadParameter(f"The address of the admin port {failure}.") from None
    settings = config.load()
    if not settings.relay_admin_port:
        raise StartupError(
            "RELAY_ADMIN_PORT is not set, so it is not known where the relay answers administrators: name the address "
            "with --url or in RELAY_ADMIN_URL, such as http://127.0.0.1:9090."
        )
    return f"{scheme_of(settings)}://{shown(settings.relay_host)}:{settings.relay_admin_port}"


def _segment(text: str) -> str:
    """Return the text as the last part of a path. Dots are escaped, too: an HTTP client would resolve `..`."""
    from urllib.parse import quote

    return quote(_utf8(text), safe="").replace(".", "%2E")


def _utf8(text: str) -> str:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise typer.BadParameter("Users and tasks must be UTF-8.")
    return text

"""Warnings of commands about their environment."""

from __future__ import annotations

import typer

from relay import config


def warn_of_unknown(settings: config.Settings) -> None:
    """Print a warning for each variable of the environment or the settings file that is not a setting."""
    for warning in config.unknown(settings):
        typer.echo(f"relay: {warning}", err=True)

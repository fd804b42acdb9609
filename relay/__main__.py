"""What `relay` on the command line runs. Nothing that takes time is imported before Ctrl-C is heard."""

from __future__ import annotations

from relay.cli import process


def main() -> None:
    process.leave_on_interrupt()
    from relay.cli.commands import main as run

    run()


if __name__ == "__main__":
    main()

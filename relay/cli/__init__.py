"""The command line of the relay.

`commands.py` declares every command with its arguments and ends the process; the work lies in these modules:

    serve.py    `relay serve`               demo/      `relay demo` and `relay mongod`
    check/      `relay check`               token.py   `relay token`
    tail/       `relay tail`                explain/   `relay explain`
    shown_settings.py   `relay config`

They share: `process.py` and `signals.py` (what signals do outside of and inside an event loop), `loop.py` (runs a
coroutine), `output.py` (standard output and error), `logs.py`, `printable.py` (text of other people on a terminal).
"""

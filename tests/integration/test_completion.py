"""The shell completes the commands and the options of `relay`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.command_process import run
from support.relay_fixture import COMMAND, SOON_S, environment

OFFERED = {
    ("relay", "co"): ["config", "conformance"],
    ("relay", "explain", "--t"): ["--task", "--token"],
    ("relay", "adm"): ["admin"],
    ("relay", "admin", "ls", "--u"): ["--user", "--url"],
    ("relay", "nonesuch"): [],
}


def test_bash_completes_a_command_and_an_option(tmp_path: Path) -> None:
    # Given a `relay` on the path and its lines for bash,
    program = tmp_path / "relay"
    program.write_text(f"#!{COMMAND[0]}\n{COMMAND[2]}\n")
    program.chmod(0o755)
    script = ['eval "$(_RELAY_COMPLETE=source_bash relay)"']
    # when somebody types the beginning of a word,
    for typed in OFFERED:
        script.append(f"COMP_WORDS=({' '.join(typed)}); COMP_CWORD={len(typed) - 1}")
        script.append('_relay_completion relay; echo "${COMPREPLY[@]}"')
    given = environment()
    ended = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        capture_output=True,
        text=True,
        timeout=2 * SOON_S,
        env=given | {"PATH": f"{tmp_path}:{given['PATH']}"},
    )
    # then bash offers the words that begin so.
    offered = [line.split() for line in ended.stdout.splitlines()]
    assert (offered, ended.stderr) == ([*OFFERED.values()], "")


@pytest.mark.parametrize(
    ("shell", "begins"), [("zsh", "#compdef relay"), ("fish", "complete --command relay")]
)
def test_there_are_lines_for_other_shells(shell: str, begins: str) -> None:
    ended = run(_RELAY_COMPLETE=f"source_{shell}")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.strip().startswith(begins)

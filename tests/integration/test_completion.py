"""The shell completes the commands and the options of `relay`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.relay_fixture import COMMAND, SOON_S, environment


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["relay", "ch"], ["check"]),
        (["relay", "co"], ["config", "conformance"]),
        (["relay", "explain", "--t"], ["--task", "--token"]),
        (["relay", "adm"], ["admin"]),
        (["relay", "admin", "s"], ["show", "stats"]),
        (["relay", "admin", "ls", "--u"], ["--user", "--url"]),
        (["relay", "nonesuch"], []),
    ],
)
def test_bash_completes_a_command_and_an_option(tmp_path: Path, typed: list[str], offered: list[str]) -> None:
    # Given a `relay` on the path and its lines for bash,
    program = tmp_path / "relay"
    program.write_text(f"#!{COMMAND[0]}\n{COMMAND[2]}\n")
    program.chmod(0o755)
    script = f"""
    eval "$(_RELAY_COMPLETE=source_bash relay)"
    COMP_WORDS=({" ".join(typed)}); COMP_CWORD={len(typed) - 1}
    _relay_completion relay
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    # when somebody types the beginning of a word,
    given = environment()
    ended = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=SOON_S,
        env=given | {"PATH": f"{tmp_path}:{given['PATH']}"},
    )
    # then bash offers the words that begin so.
    assert (ended.stdout.split(), ended.stderr) == (offered, "")


@pytest.mark.parametrize(
    ("shell", "begins"), [("zsh", "#compdef relay"), ("fish", "complete --command relay")]
)
def test_there_are_lines_for_other_shells(shell: str, begins: str) -> None:
    ended = subprocess.run(
        COMMAND,
        capture_output=True,
        text=True,
        timeout=SOON_S,
        env=environment(_RELAY_COMPLETE=f"source_{shell}"),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.strip().startswith(begins)

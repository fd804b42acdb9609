"""deploy/systemd/relay.service, and deploy/relay.env, which it and docker-compose.yml read their settings from."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from support.command_process import run
from support.doc_snippets import ROOT
from typer.main import get_command

from relay.cli.commands import cli
from relay.config import SECRETS, Settings, load
from relay.workers.slot import GRACE_S

UNIT = ROOT / "deploy" / "systemd" / "relay.service"
ENVIRONMENT = ROOT / "deploy" / "relay.env"
WORST_EXPOSURE = "1.5"  # of 10, as `systemd-analyze security` counts; a unit without hardening has 9.6


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    return found


def options(name: str) -> list[str]:
    """Return the values of an option of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


def verified(analyze: str, unit: Path) -> str:
    """Return what systemd says about a unit: nothing if it likes it."""
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_systemd_understands_every_line_of_the_unit(analyze: str, tmp_path: Path) -> None:
    text = UNIT.read_text("utf-8")
    (program,) = (command.split()[0] for command in options("ExecStart"))
    here = tmp_path / "relay"  # systemd looks whether the program exists
    here.write_text("#!/bin/sh\n")
    here.chmod(0o755)
    unit = tmp_path / "relay.service"
    unit.write_text(text.replace(f"ExecStart={program}", f"ExecStart={here}"))
    assert verified(analyze, unit) == ""
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHomes="))
    assert "ProtectHomes" in verified(analyze, unit), "the assertion above would show nothing"


def test_systemd_counts_little_exposure(analyze: str) -> None:
    threshold = f"--threshold={float(WORST_EXPOSURE) * 10:.0f}"
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", threshold, str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_runs_a_command_of_the_relay_from_where_its_header_installs_it() -> None:
    (command,) = options("ExecStart")
    program, name, *arguments = shlex.split(command)
    get_command(cli).commands[name].make_context(name, arguments)  # type: ignore[attr-defined]
    folder = program.removesuffix("/bin/relay")
    header = UNIT.read_text("utf-8").split("\n[Unit]")[0]
    assert f"python3 -m venv {folder}\n" in header
    (file,) = [
        one.partition("=")[2] for one in options("Environment") if one.startswith("RELAY_SETTINGS_FILE=")
    ]
    (group,) = options("SupplementaryGroups")
    assert f"groupadd --system {group}\n" in header
    assert f"install -D --mode 640 --group {group} deploy/relay.env {file} " in header
    for source in re.findall(r" ((?:deploy|requirements)/\S+)", header):
        assert (ROOT / source).exists(), source


def test_the_unit_has_more_time_to_end_than_the_relay_takes() -> None:
    (given,) = options("TimeoutStopSec")
    assert float(given.removesuffix("s")) > load().relay_drain_ms / 1000 + GRACE_S
    assert options("KillMode") == ["mixed"], "a signal to the workers too would end them at different times"


def test_only_the_relay_and_the_group_of_the_proxy_may_enter_the_directory_of_the_unix_socket() -> None:
    assert options("RuntimeDirectoryMode") == ["0750"], "who may connect may claim any client address"
    (group,) = options("Group")
    header = UNIT.read_text("utf-8").split("\n[Unit]")[0]
    assert f"groupadd --system {group} && usermod --append --groups {group} " in header
    guide = (ROOT / "docs" / "guides" / "operating.md").read_text("utf-8")
    assert f"`{group}`" in guide.partition("### systemd")[2].partition("\n## ")[0]


def test_the_unit_allows_the_open_files_of_all_connections() -> None:
    (given,) = options("LimitNOFILE")
    assert int(given) > load().relay_max_connections * 2


def test_a_call_with_wrong_arguments_is_not_repeated() -> None:
    assert options("RestartPreventExitStatus") == [str(run("serve", "--wrong").returncode)]


def settings_of_file() -> dict[str, str]:
    """Return the settings of deploy/relay.env with the # before each removed."""
    lines = re.findall(r"^#(\w+)=(.*)$", ENVIRONMENT.read_text("utf-8"), re.MULTILINE)
    assert len(dict(lines)) == len(lines)
    return dict(lines)


def test_the_environment_file_has_every_setting_and_sets_none() -> None:
    named = [name for name in settings_of_file() if name.removesuffix("_FILE").lower() not in SECRETS]
    assert named == [name.upper() for name in Settings.model_fields if name not in SECRETS]
    assert {name.upper() for name in SECRETS} < settings_of_file().keys()
    for line in ENVIRONMENT.read_text("utf-8").splitlines():
        assert not line or line.startswith("#")
        assert len(line) <= 120


def test_the_values_of_the_environment_file_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load()
    for name, value in settings_of_file().items():
        monkeypatch.setenv(name, value)
    assert load() == defaults

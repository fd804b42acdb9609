"""The scripts on different machines, with a fake Python that writes down what it is asked to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "bash",
    "basename",
    "cat",
    "chmod",
    "cksum",
    "cp",
    "dirname",
    "env",
    "flock",
    "grep",
    "mkdir",
    "sh",
)

# Says it is a Python, writes down what pip is asked for, and installs a `relay` that says where it runs.
PYTHON = r"""#!/bin/sh
case "$*" in
    *version_info*) exit "${OLD:-0}" ;;
    *ensurepip*) exit "${NO_ENSUREPIP:-0}" ;;
    --version) echo Python 3.11.0 ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip install"*)
        echo "user=$PIP_USER $*" >> pip.log
        echo "pip talks"
        printf '#!/bin/sh\necho "relay $* in $PWD"\n' > "${0%python}relay"
        chmod +x "${0%python}relay" ;;
esac
"""


class Checkout:
    def __init__(self, root: Path, path: Path) -> None:
        self.root, self.path = root, path

    def run(
        self, script: str, *args: str, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.root / "scripts" / script), *args],
            env={"PATH": str(self.path), **environment},
            cwd=cwd or self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def installs(self) -> list[str]:
        log = self.root / "pip.log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root, path = tmp_path / "checkout", tmp_path / "bin"
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("benchmarks"))
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "requirements").mkdir()
    for lock in ("demo", "dev", "docs", "release"):
        (root / "requirements" / f"{lock}.txt").write_text(f"# {lock}\n")
    path.mkdir()
    for command in COMMANDS:
        found = shutil.which(command)
        if found:
            (path / command).symlink_to(found)
    (path / "python3").write_text(PYTHON)
    (path / "python3").chmod(0o755)
    return Checkout(root, path)


@pytest.mark.parametrize(
    "name",
    [
        "bench",
        "capacity",
        "demo",
        "docs",
        "generate",
        "lint",
        "lock",
        "release",
        "tail",
        "test",
        "../.ci/run",
    ],
)
def test_every_script_parses_and_can_be_run(name: str) -> None:
    script = ROOT / "scripts" / name
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_first_run_installs_by_hash_and_the_second_nothing(checkout: Checkout) -> None:
    assert checkout.run("tail").returncode == 0
    first = checkout.installs()
    assert "--require-hashes -r requirements/demo.txt" in first[0]
    assert "--no-deps --no-build-isolation -e ." in first[1]
    assert checkout.run("demo").returncode == 0
    assert checkout.installs() == first


def test_the_tests_do_not_lint_what_was_linted(checkout: Checkout) -> None:
    (checkout.root / "scripts" / "lint").write_text("#!/bin/sh\necho linted >> lint.log\n")
    for environment in ({"LINTED": "yes"}, {}, {"LINTED": ""}):
        assert checkout.run("test", **environment).returncode == 0
    assert (checkout.root / "lint.log").read_text() == "linted\n" * 2


def test_a_changed_lock_is_installed(checkout: Checkout) -> None:
    checkout.run("tail")
    (checkout.root / "requirements" / "demo.txt").write_text("# newer\n")
    checkout.run("tail")
    assert len(checkout.installs()) == 4


def test_the_environment_of_development_serves_the_demo_too(checkout: Checkout) -> None:
    assert checkout.run("lint").returncode == 0
    assert checkout.run("demo").returncode == 0
    assert len(checkout.installs()) == 2


@pytest.mark.parametrize("name", ["docs", "release"])
def test_the_site_and_a_release_are_built_in_an_environment_without_the_relay(
    checkout: Checkout, name: str
) -> None:
    assert checkout.run("lint").returncode == 0
    assert checkout.run(name).returncode == 0
    (built,) = checkout.installs()[2:]
    assert f"-r requirements/{name}.txt" in built
    assert (checkout.root / f".venv-{name}").exists()


def test_a_checkout_that_was_moved_installs_its_commands_again(checkout: Checkout) -> None:
    checkout.run("tail")
    checkout.root = checkout.root.rename(checkout.root.parent / "moved here")
    assert checkout.run("tail").returncode == 0
    assert len(checkout.installs()) == 4


def test_another_python_has_an_environment_of_its_own_beside_the_first(checkout: Checkout) -> None:
    checkout.run("tail")
    (checkout.root / ".venv" / "mark").touch()
    assert checkout.run("tail", VENV=".venv-3.13").stdout == f"relay tail in {checkout.root}\n"
    assert checkout.run("lint", VENV=".venv-3.13").returncode == 0
    assert len(checkout.installs()) == 6
    assert (checkout.root / ".venv-3.13" / "bin" / "relay").exists()
    assert {path.name for path in checkout.root.glob(".venv/*")} == {"bin", "locked", "mark"}


def test_only_the_relay_writes_to_standard_output_and_relative_paths_start_at_the_caller(
    checkout: Checkout, tmp_path: Path
) -> None:
    ran = checkout.run("tail", "--json", cwd=tmp_path)
    assert ran.stdout == f"relay tail --json in {tmp_path}\n"
    assert "pip talks" in ran.stderr


def test_a_pip_configuration_with_user_installs_does_no_harm(checkout: Checkout) -> None:
    checkout.run("tail", PIP_USER="1")
    assert all(line.startswith("user=0 ") for line in checkout.installs())


@pytest.mark.parametrize(
    ("machine", "says"),
    [({"OLD": "1"}, "Python 3.11 or newer"), ({"NO_ENSUREPIP": "1"}, "apt-get install python3-venv")],
)
def test_a_script_says_in_one_sentence_that_no_python_is_usable(
    checkout: Checkout, machine: dict[str, str], says: str
) -> None:
    ran = checkout.run("demo", **machine)
    assert ran.returncode == 3
    assert says in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_an_environment_whose_making_was_interrupted_is_completed(checkout: Checkout) -> None:
    unfinished = checkout.root / ".venv" / "bin" / "python"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_text("#!/bin/sh\nexit 1\n")  # it has no pip yet
    unfinished.chmod(0o755)
    assert checkout.run("tail").returncode == 0


def test_a_script_reports_an_unusable_environment_and_leaves_it_alone(checkout: Checkout) -> None:
    (checkout.root / ".venv").write_text("somebody's own")
    ran = checkout.run("tail")
    assert ran.returncode == 3
    assert "rm -r .venv" in ran.stderr
    assert (checkout.root / ".venv").read_text() == "somebody's own"


# What every change has to pass.


def python_of(path: Path, version: str) -> Path:
    """Put a fake Python of this version at this path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def run_ci(checkout: Checkout, *, fails: str = "none") -> list[str]:
    """Run `.ci/run`, and return the environment, Python and arguments of each test run: those of the oldest Python
    first. `fails`: the Python whose tests fail."""
    shutil.copytree(ROOT / ".ci", checkout.root / ".ci", dirs_exist_ok=True)
    script = checkout.root / "scripts" / "test"
    script.write_text(
        '#!/bin/sh\necho "$VENV $PYTHON $*" >> runs.log\ncase $PYTHON in *$FAILS) exit 1; esac\n'
    )
    for name in ("lint", "docs"):
        (checkout.root / "scripts" / name).write_text(f'#!/bin/sh\necho "$PYTHON" > {name}.log\n')
    for command in ("mktemp", "rm"):
        (checkout.path / command).symlink_to(shutil.which(command) or command)
    ran = checkout.run("../.ci/run", HOME=str(checkout.root), FAILS=fails)
    assert ran.returncode == int(fails != "none"), ran.stderr
    runs = (checkout.root / "runs.log").read_text().splitlines()
    return sorted(runs, key=lambda one: ("--ignore" not in one, one.split()[2:], one))


def test_ci_runs_everything_on_the_oldest_python_and_the_unit_tests_on_the_newest(
    checkout: Checkout,
) -> None:
    python_of(checkout.path / "python3", "3.12")
    python_of(checkout.path / "python3.11", "3.10")  # such as pyenv's, where that version is not chosen
    python_of(checkout.path / "python3.14", "3.14")
    old = python_of(checkout.root / ".pyenv" / "versions" / "3.11.7" / "bin" / "python3", "3.11")
    *all_of_it, newest = run_ci(checkout)
    apart = ["tests/browser", "tests/faults", "tests/project tests/deploy", "tests/unit"]
    others = " ".join(f"--ignore={one}" for one in sorted(" ".join(apart).split()))
    given = [one.removeprefix(f".venv {old} ") for one in all_of_it]
    assert [" ".join(sorted(given[0].split())), *given[1:]] == [others, *apart]
    assert newest == ".venv-3.14 python3.14 tests/unit"
    assert all((checkout.root / name).read_text() == f"{old}\n" for name in ("lint.log", "docs.log"))


def test_ci_uses_an_existing_environment_for_the_python_it_has(checkout: Checkout) -> None:
    python_of(checkout.path / "python3", "3.11")
    python_of(checkout.path / "python3.13", "3.13")
    (checkout.root / ".venv").mkdir()
    (checkout.root / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.13.0\n")
    runs = [one.split()[:2] for one in run_ci(checkout)]
    assert sorted(runs) == [[".venv", "python3.13"]] + [[".venv-3.11", "python3"]] * 5


@pytest.mark.parametrize("fails", ["python3.11", "python3.13"])
def test_ci_fails_when_the_tests_of_one_python_fail(checkout: Checkout, fails: str) -> None:
    for version in ("3.11", "3.12", "3.13"):
        python_of(checkout.path / f"python{version}", version)
    assert fails in " ".join(run_ci(checkout, fails=fails))


def test_ci_leaves_a_missing_python_to_the_test_script(checkout: Checkout) -> None:
    python_of(checkout.path / "python3", "3.10")
    assert run_ci(checkout) == ["  "]  # left to the script, which says what is missing


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_a_skipped_test_fails_the_run_under_ci_only(tmp_path: Path, ci: str, code: int) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_one.py").write_text(
        "import pytest\n"
        "def test_that_runs(): pass\n"
        "def test_that_cannot(): pytest.skip('there is no browser')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "CI": ci},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == code, ran.stdout
    assert "there is no browser" in ran.stdout

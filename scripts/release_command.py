"""The command line of scripts/release: builds a release from the last commit, checks it, and publishes nothing."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from scripts.release_build import Failed, build_image, build_npm, build_python, export, run
from scripts.release_checks import check_npm, check_python, digest, npm_needs
from scripts.release_versions import NotReleasable, clean_commit, git, tag, version

ROOT = Path(__file__).parents[1]
EXIT_FAILED, EXIT_NOT_RELEASABLE = 1, 3


def main() -> None:
    parser = _parser()
    given = parser.parse_args()
    try:
        _release(given.root.resolve(), given.output.resolve(), given.repository, given.image)
    except NotReleasable as reason:
        parser.exit(EXIT_NOT_RELEASABLE, f"{parser.prog}: {reason}\n")
    except Failed as failure:
        parser.exit(EXIT_FAILED, f"{parser.prog}: {failure}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/release",
        allow_abbrev=False,
        description="Build wheel, sdist, npm package and image of the last commit, and check them. Publishes nothing: "
        "at the end it prints the commands that would.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "dist",
        metavar="DIR",
        help="an empty or new folder (default: dist)",
    )
    parser.add_argument(
        "--repository",
        metavar="URL",
        help="the public address of the repository, which the npm package then names; npm requires it for provenance",
    )
    parser.add_argument("--no-image", dest="image", action="store_false", help="do not build the image")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)  # for the tests
    return parser


def _release(root: Path, output: Path, repository: str | None, image: bool) -> None:
    commit = clean_commit(root)
    number = version(root)
    tagged = tag(root, number)
    if (missing := npm_needs()) is not None:
        raise NotReleasable(f"{missing}; the npm package needs it")
    if output.exists() and any(output.iterdir()):
        raise NotReleasable(f"{output} is not empty; name another folder with --output, or empty it")
    output.mkdir(parents=True, exist_ok=True)
    _say(
        f"Version {number}, commit {commit[:12]}, {'tag ' + tagged if tagged else 'not tagged: a rehearsal'}"
    )
    epoch = git(root, "log", "-1", "--format=%ct")
    with tempfile.TemporaryDirectory(prefix="relay-release-") as directory:
        source, python, npm = (Path(directory) / name for name in ("source", "python", "npm"))
        for folder in (source, python, npm):
            folder.mkdir()
        export(root, commit, source)
        try:
            _say("Building wheel and sdist …")
            sdist, wheel = sorted(build_python(source, output, epoch), key=lambda path: path.suffix == ".whl")
            holds = check_python(sdist, wheel, number, python, epoch)
            _say("Packing the npm package …")
            tarball = build_npm(source, output, repository)
            holds += check_npm(tarball, number, npm)
            name = f"relay:{number}"
            engine = None
            if image:
                _say("Building the image …")
                engine = build_image(source, name, commit)
        except Failed:
            shutil.rmtree(output)  # nothing of a release that failed is left to be published by mistake
            raise
    files = [sdist, wheel, tarball]
    _write(output, files, {"version": number, "commit": commit, "tag": tagged, "image": engine and name})
    _report(holds, files, engine and name, image, tagged, repository)


def _write(output: Path, files: list[Path], made: dict[str, object]) -> None:
    """Write what each file is: its digest, and from which commit and with which tools it was built."""
    digests = {path.name: digest(path) for path in files}
    made |= {
        "sha256": digests,
        "python": platform.python_version(),
        "node": run("node", "--version", cwd=output).strip().removeprefix("v"),
        "npm": run("npm", "--version", cwd=output).strip(),
    }
    (output / "release.json").write_text(json.dumps(made, indent=2) + "\n", "utf-8")
    (output / "SHA256SUMS").write_text(
        "".join(f"{found}  {name}\n" for name, found in digests.items()), "utf-8"
    )


def _report(
    holds: list[str],
    files: list[Path],
    image: str | None,
    wanted: bool,
    tagged: str | None,
    repository: str | None,
) -> None:
    for sentence in holds:
        _say(f"  ok: {sentence}")
    if wanted and image is None:
        _say("  no image: this machine has no container engine (docker or podman) that runs")
    for path in files:
        print(path)
    if image is not None:
        print(image)
    if tagged is None:
        _say("Nothing to publish: the commit has no tag of its version.")
        return
    sdist, wheel, tarball = files
    _say("Nothing was published. These commands would:")
    _say(f"  twine upload {sdist} {wheel}")
    _say(f"  npm publish {tarball}{' --provenance' if repository else ''}")
    if image is not None:
        _say(f"  docker push {image}    # after docker tag, with the name of your registry")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

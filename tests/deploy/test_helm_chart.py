"""The Helm chart makes the objects of deploy/kubernetes. What it makes of other values fits the schemas as well, and it
refuses values that mean nothing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.doc_snippets import ROOT
from support.kubernetes import (
    CHART,
    Resource,
    check_schemas,
    manifests,
    only,
    ran,
    rendered,
    resources,
    templated,
    tool,
)

from relay.config import load
from relay.workers.slot import GRACE_S

pytestmark = pytest.mark.timeout(600)  # packages are downloaded the first time

MAPPING = ROOT / "deploy" / "mapping.toml"
# Labels that only an object of a chart has.
OF_HELM = {"app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"}


def env(objects: list[Resource]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(objects)["env"]}


def container(objects: list[Resource]) -> Resource:
    (one,) = pod(objects)["containers"]
    return one


def pod(objects: list[Resource]) -> Resource:
    return only("Deployment", objects)["spec"]["template"]["spec"]


def test_helm_finds_nothing_to_say_about_the_chart() -> None:
    linted = ran(tool("helm"), "lint", "--strict", str(CHART))
    assert linted.returncode == 0, linted.stdout
    assert "[WARNING]" not in linted.stdout


def test_the_chart_has_the_version_of_the_relay() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["version"] == chart["appVersion"] == project["version"]


def test_a_release_named_relay_is_what_the_manifests_are() -> None:
    made = rendered({"serviceMonitor.enabled": True, "image.repository": "relay"}, mapping=MAPPING)
    assert image(container(made)) == f"relay:{only('Deployment', made)['metadata']['labels'][VERSION]}"
    assert by_name(made) == by_name(manifests())


VERSION = "app.kubernetes.io/version"


def image(one: Resource) -> str:
    name: str = one["image"]
    return name


def by_name(objects: list[Resource]) -> dict[str, Any]:
    """The objects by their kind and name, without what tells a chart from a manifest."""

    def bare(part: Any) -> Any:
        match part:
            case dict():
                return {key: bare(inner) for key, inner in part.items() if key not in OF_HELM}
            case list():
                return [bare(inner) for inner in part]
        return part

    found = {}
    for one in objects:
        kept = bare(one)
        if one["kind"] == "Deployment":
            template = kept["spec"]["template"]
            template["metadata"].pop("annotations", None)  # the digest of the mapping
            for inside in template["spec"]["containers"]:
                inside["image"] = inside["image"].partition(":")[0]
        found[f"{one['kind']}/{one['metadata']['name']}"] = kept
    return found


VALUES: dict[str, Resource] = {
    "defaults": {},
    "nothing optional": {
        "ingress.enabled": False,
        "networkPolicy.enabled": False,
        "resources": None,  # removes the default
        "settings": None,
    },
    "nobody may reach it": {
        "networkPolicy": {"enabled": True, "clients": [], "metrics": [], "egressPorts": []}
    },
    "everything": {
        "image": {"repository": "registry.example.com:5000/relay", "tag": "2", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "replicas": 5,
        "secret": {"name": "live", "files": ["RELAY_MONGO_URL"]},
        "settings": {"RELAY_LOG_LEVEL": "DEBUG", "RELAY_MAX_CONNECTIONS": 10_000_000, "RELAY_DRAIN_MS": 0},
        "mapping": '[fields]\ntitle = "a \\"b\\""\n\n[event]\nat = "{{ when }}"\n',
        "ingress": {"className": "", "host": "live.example.com", "tlsSecretName": "", "annotations": {}},
        "networkPolicy.egressPorts": [27017, 6379, 443],
        "podDisruptionBudget.maxUnavailable": "50%",
        "serviceMonitor": {"enabled": True, "interval": "30s", "labels": {"release": "prometheus"}},
        "extraVolumes": [{"name": "ca", "secret": {"secretName": "mongo-ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/mongo", "readOnly": True}],
        "podAnnotations": {"example.com/team": "live"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "live", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
    },
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_whatever_the_values_the_objects_fit_the_schemas(values: Resource) -> None:
    check_schemas(rendered(values, release="live"))


def test_every_value_of_the_chart_is_used_by_a_template() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    text = "".join(file.read_text("utf-8") for file in sorted((CHART / "templates").iterdir()))
    for name, value in defaults.items():
        for path in [f"{name}.{inner}" for inner in value] if isinstance(value, dict) and value else [name]:
            known = path if not path.startswith(("settings.", "resources.")) else path.partition(".")[0]
            assert re.search(rf"\.Values\.{re.escape(known)}\b", text), path


def test_no_peers_in_the_network_policy_means_nobody() -> None:
    made = rendered(VALUES["nobody may reach it"])
    assert not only("NetworkPolicy", made)["spec"]["ingress"]


def test_secrets_that_are_read_from_files_are_mounted_and_no_longer_in_the_environment() -> None:
    made = rendered({"secret": {"name": "live", "files": ["RELAY_MONGO_URL", "RELAY_JWT_SECRET"]}})
    assert "envFrom" not in container(made)
    (mount,) = (one for one in container(made)["volumeMounts"] if one["name"] == "secrets")
    for name in ("RELAY_MONGO_URL", "RELAY_JWT_SECRET"):
        assert env(made)[f"{name}_FILE"] == f"{mount['mountPath']}/{name}"
    (volume,) = (one["secret"] for one in pod(made)["volumes"] if one["name"] == "secrets")
    assert volume["secretName"] == "live"
    assert [one["path"] for one in volume["items"]] == ["RELAY_MONGO_URL", "RELAY_JWT_SECRET"]


def test_a_mapping_reaches_the_relay_as_it_was_written() -> None:
    text = VALUES["everything"]["mapping"]
    made = rendered({"mapping": text})
    assert only("ConfigMap", made)["data"]["mapping.toml"] == text
    assert env(made)["RELAY_MAPPING"] == "/etc/relay/mapping.toml"
    other = rendered({"mapping": text + "# changed\n"})
    annotations = [
        only("Deployment", one)["spec"]["template"]["metadata"]["annotations"] for one in (made, other)
    ]
    assert annotations[0] != annotations[1], "the Pods would keep the old mapping"
    assert "RELAY_MAPPING" not in env(rendered())


@pytest.mark.parametrize("text", ["  [fields]\ntitle = 'a'\n", "\n\n[fields]\n\n\n", "# ' \" \\ <é>\r\n\t#"])
def test_a_mapping_of_any_layout_reaches_the_relay_as_it_was_written(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    file.write_bytes(text.encode())
    made = rendered(mapping=file)
    assert only("ConfigMap", made)["data"]["mapping.toml"] == text
    assert only("Deployment", made)["spec"]["template"]["metadata"]["annotations"]["checksum/mapping"]


@pytest.mark.parametrize("name", ["123", "true", "1e3"])
def test_names_that_look_like_other_types_stay_texts(name: str) -> None:
    values = {"secret.name": name, "ingress.className": name, "ingress.tlsSecretName": name}
    check_schemas(made := rendered(values, release=name, mapping=MAPPING))
    assert only("Deployment", made)["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == name


def test_annotations_and_labels_of_the_values_never_replace_those_of_the_chart() -> None:
    text = VALUES["everything"]["mapping"]
    plain = rendered({"mapping": text, "serviceMonitor.enabled": True})
    values: Resource = {
        "mapping": text,
        "podAnnotations": {"checksum/mapping": "mine", "example.com/team": "live"},
        "serviceMonitor": {
            "enabled": True,
            "labels": {"app.kubernetes.io/name": "mine", "release": "prometheus"},
        },
    }
    done = templated(values)
    assert done.stdout.count("checksum/mapping:") == 1, "Helm refuses objects with a key twice"
    made = resources(done.stdout)
    annotations, before = (
        only("Deployment", one)["spec"]["template"]["metadata"]["annotations"] for one in (made, plain)
    )
    assert annotations == before | {"example.com/team": "live"}
    labels, before = (only("ServiceMonitor", one)["metadata"]["labels"] for one in (made, plain))
    assert labels == before | {"release": "prometheus"}


def test_no_proxy_is_trusted_until_the_values_name_it_and_the_notes_say_so(tmp_path: Path) -> None:
    assert env(rendered())["RELAY_TRUSTED_PROXIES"] == ""
    named = "--set=settings.RELAY_TRUSTED_PROXIES=10.42.0.0/16"
    for further, said in (((), True), ((named,), False), (("--set=ingress.enabled=false",), False)):
        done = ran(tool("helm"), "install", "relay", str(CHART), "--dry-run=client", *further, home=tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("count as one address" in done.stdout.partition("NOTES:")[2]) is said


def test_settings_of_every_type_reach_the_relay_as_they_were_written() -> None:
    given = {
        "RELAY_REDIS_MAX_BYTES": 268_435_456,
        "RELAY_MAX_CONNECTIONS": 10_000_000,
        "FEATURE_WEBSOCKET_ENABLED": False,
        "FEATURE_WEBSOCKET_PERCENT": 0,
        "FEATURE_WEBSOCKET_USERS": "007,1e3",
        "RELAY_PUBLIC_URL": "https://app.example.com/live",
    }
    made = env(rendered({"settings": given}))
    assert {name: made[name] for name in given} == {
        "RELAY_REDIS_MAX_BYTES": "268435456",
        "RELAY_MAX_CONNECTIONS": "10000000",
        "FEATURE_WEBSOCKET_ENABLED": "false",
        "FEATURE_WEBSOCKET_PERCENT": "0",
        "FEATURE_WEBSOCKET_USERS": "007,1e3",
        "RELAY_PUBLIC_URL": "https://app.example.com/live",
    }
    load(**{name.lower(): value for name, value in made.items()})


@pytest.mark.parametrize("drain_ms", [0, 5_000, 60_001, 86_400_000])
def test_a_pod_has_time_for_its_drain(drain_ms: int) -> None:
    made = rendered({"settings": {"RELAY_DRAIN_MS": drain_ms}})
    (before,) = container(made)["lifecycle"]["preStop"]["exec"]["command"][1:]
    assert pod(made)["terminationGracePeriodSeconds"] > int(before) + drain_ms / 1000 + GRACE_S


def test_the_public_url_is_that_of_the_ingress() -> None:
    assert env(rendered())["RELAY_PUBLIC_URL"] == "https://relay.example.com"
    plain = {"ingress.host": "live.internal", "ingress.tlsSecretName": ""}
    assert env(rendered(plain))["RELAY_PUBLIC_URL"] == "http://live.internal"
    assert "RELAY_PUBLIC_URL" not in env(rendered({"ingress.enabled": False}))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"settings": {"RELAY_LOG_FROMAT": "json"}}, "RELAY_LOG_FROMAT"),
        ({"settings": {"RELAY_JWT_SECRET": "x" * 32}}, "RELAY_JWT_SECRET"),
        ({"settings": {"RELAY_PORT": 9000}}, "RELAY_PORT"),
        ({"settings": {"RELAY_DRAIN_MS": "60000"}}, "RELAY_DRAIN_MS"),
        ({"replica": 3}, "replica"),
        ({"replicas": "3"}, "replicas"),
        ({"serviceMonitor": {"enable": True}}, "enable"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_helm_refuses_a_value_that_means_nothing_or_a_secret(values: Resource, named: str) -> None:
    refused = templated(values)
    assert refused.returncode != 0
    assert named in refused.stderr


def test_two_releases_in_one_namespace_share_nothing() -> None:
    names = [
        {f"{one['kind']}/{one['metadata']['name']}" for one in rendered(release=release, mapping=MAPPING)}
        for release in ("relay", "relay-staging", "live")
    ]
    assert not names[0] & names[1] | names[0] & names[2] | names[1] & names[2]


def test_the_chart_can_be_packed_and_installed_from_its_archive(tmp_path: Path) -> None:
    packed = ran(tool("helm"), "package", str(CHART), "--destination", str(tmp_path), home=tmp_path)
    assert packed.returncode == 0, packed.stderr
    (archive,) = tmp_path.glob("relay-*.tgz")
    again = ran(tool("helm"), "template", "relay", str(archive), home=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "kind: Deployment" in again.stdout

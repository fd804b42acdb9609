"""deploy/kubernetes: it fits the schemas of Kubernetes, what belongs together agrees, and it agrees with the relay, the
image and docker-compose.yml. No cluster is asked."""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from support.command_process import crowding, port_of, started
from support.doc_snippets import ROOT
from support.kubernetes import (
    MANIFESTS,
    Resource,
    check_schemas,
    manifests,
    only,
    ran,
    resources,
    tool,
    type_errors,
)
from support.relay_fixture import SECRET, SOON_S, connected, running, settings_for
from support.worker_processes import LOOK_S

from relay.cli.demo import mongod as embedded
from relay.config import SECRETS, Settings, load
from relay.pipeline import load_mapping
from relay.tasks.mapping import Mapping
from relay.workers.slot import GRACE_S

pytestmark = pytest.mark.timeout(600)  # packages are downloaded the first time

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
MONGO_PORT = 27017
FILES = 256  # open files of a relay that is to be full soon


@pytest.fixture(scope="module")
def given() -> list[Resource]:
    return manifests()


@pytest.fixture(scope="module")
def pod(given: list[Resource]) -> Resource:
    return only("Deployment", given)["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod: Resource) -> Resource:
    (one,) = pod["containers"]
    return one


@pytest.fixture(scope="module")
def settings(container: Resource) -> Settings:
    """The settings of the Deployment, with those of a Secret."""
    named = {one["name"].lower(): one["value"] for one in container["env"]}
    del named["relay_mapping"]  # its file is in the ConfigMap
    return load(**named, relay_mongo_url="mongodb://db/?replicaSet=rs0", relay_jwt_secret=SECRET)


def test_every_manifest_fits_the_schemas(given: list[Resource]) -> None:
    check_schemas(given)


def test_a_misspelt_field_does_not_fit_the_schemas(given: list[Resource]) -> None:
    """Otherwise the test above would show nothing."""
    deployment = yaml.safe_load(yaml.safe_dump(only("Deployment", given)))
    probe = deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]
    probe["periodSecond"] = probe.pop("periodSeconds")
    with pytest.raises(kubernetes_validate.ValidationError, match="periodSecond"):
        check_schemas([deployment])
    monitor = yaml.safe_load(yaml.safe_dump(only("ServiceMonitor", given)))
    monitor["spec"]["endpoints"][0]["prt"] = "admin"
    assert "'prt' does not exist" in type_errors([monitor]).replace('"', "")


def test_kustomize_takes_in_every_manifest_but_the_one_that_needs_an_operator(given: list[Resource]) -> None:
    built = ran(tool("kubectl"), "kustomize", str(MANIFESTS))
    assert built.returncode == 0, built.stderr
    objects = resources(built.stdout)
    left_out = [one for one in given if one["kind"] == "ServiceMonitor"]
    assert sorted(map(named, [*objects, *left_out])) == sorted(map(named, given))
    image = only("Deployment", objects)["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"registry.example.com/relay:{version()}"
    check_schemas(objects)


def named(one: Resource) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


def version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def test_every_setting_of_the_deployment_is_one_of_the_relay_and_its_value_is_accepted(
    container: Resource, settings: Settings
) -> None:
    assert all(one["name"].lower() in Settings.model_fields for one in container["env"])
    assert settings.relay_log_format == "json"


def test_secrets_come_from_a_secret_that_is_not_in_the_manifests(
    given: list[Resource], container: Resource
) -> None:
    assert all(one["kind"] != "Secret" for one in given)
    assert container["envFrom"] == [{"secretRef": {"name": "relay"}}]
    for one in container["env"]:
        assert one["name"].lower() in Settings.model_fields.keys() - SECRETS, one["name"]
    asked = set(re.findall(r"--from-literal=(\w+)=", (MANIFESTS / "kustomization.yaml").read_text("utf-8")))
    assert asked == {"RELAY_MONGO_URL", "RELAY_JWT_SECRET"}


def test_ports_are_those_that_the_relay_listens_on_and_the_image_names(
    given: list[Resource], container: Resource, settings: Settings
) -> None:
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {"http": settings.relay_port, "admin": settings.relay_admin_port}
    assert re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE) == [str(settings.relay_port)]
    targets = {
        one["metadata"]["name"]: [port["targetPort"] for port in one["spec"]["ports"]]
        for one in given
        if one["kind"] == "Service"
    }
    assert targets == {"relay": ["http"], "relay-admin": ["admin"]}


def test_the_user_and_the_writable_directory_are_those_of_the_image(
    pod: Resource, container: Resource
) -> None:
    (user,) = re.findall(r"^USER (\d+:\d+)$", DOCKERFILE, re.MULTILINE)
    context = pod["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
    writable = {one["name"] for one in pod["volumes"] if "emptyDir" in one}
    assert [one["mountPath"] for one in container["volumeMounts"] if one["name"] in writable] == ["/tmp"]


def test_the_pod_has_no_more_rights_than_the_restricted_standard_of_kubernetes_allows(
    pod: Resource, container: Resource
) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and a root that is read-only."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] != 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all("hostPort" not in port for port in container["ports"])
    assert all(not {"hostPath"} & volume.keys() for volume in pod["volumes"])
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_a_pod_has_more_time_to_end_than_the_relay_takes(
    pod: Resource, container: Resource, settings: Settings
) -> None:
    (before,) = container["lifecycle"]["preStop"]["exec"]["command"][1:]
    needed = int(before) + settings.relay_drain_ms / 1000 + GRACE_S
    assert pod["terminationGracePeriodSeconds"] > needed


def test_selectors_find_the_pods_and_the_monitor_finds_the_admin_service_alone(given: list[Resource]) -> None:
    deployment = only("Deployment", given)["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert only("NetworkPolicy", given)["spec"]["podSelector"]["matchLabels"] == labels
    assert only("PodDisruptionBudget", given)["spec"]["selector"]["matchLabels"] == labels
    services = [one for one in given if one["kind"] == "Service"]
    assert all(one["spec"]["selector"] == labels for one in services)
    monitor = only("ServiceMonitor", given)["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    found = [one for one in services if wanted <= one["metadata"]["labels"].items()]
    assert [one["metadata"]["name"] for one in found] == ["relay-admin"]
    assert monitor["endpoints"][0]["port"] == found[0]["spec"]["ports"][0]["name"]


def test_the_ingress_leads_to_clients_port_under_the_public_url_and_waits_for_heartbeats(
    given: list[Resource], settings: Settings
) -> None:
    ingress = only("Ingress", given)
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    backend = path["backend"]["service"]
    service = only("Service", given, backend["name"])
    assert backend["port"]["name"] in [port["name"] for port in service["spec"]["ports"]]
    assert backend["name"] == "relay"
    assert settings.relay_public_url == f"https://{rule['host']}"
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    silent_ms = max(settings.relay_heartbeat_ms, settings.relay_poll_wait_ms, settings.relay_ping_interval_ms)
    timeouts = {
        key: value for key, value in ingress["metadata"]["annotations"].items() if key.endswith("-timeout")
    }
    assert len(timeouts) == 2
    assert all(int(value) * 1000 > 2 * silent_ms for value in timeouts.values())


def test_the_network_policy_opens_each_port_to_its_users_and_the_way_to_the_database(
    given: list[Resource],
) -> None:
    policy = only("NetworkPolicy", given)["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    opened = {port["port"]: rule["from"] for rule in policy["ingress"] for port in rule["ports"]}
    assert opened.keys() == {"http", "admin"}
    assert all(opened.values()), "an empty list of peers is everybody"
    allowed = {(port["port"], port["protocol"]) for rule in policy["egress"] for port in rule["ports"]}
    assert allowed == {(53, "UDP"), (53, "TCP"), (MONGO_PORT, "TCP")}


def test_the_mapping_of_the_config_map_changes_nothing_until_it_is_edited(
    given: list[Resource], pod: Resource, container: Resource, tmp_path: Path
) -> None:
    config_map = only("ConfigMap", given)
    (volume,) = (one["name"] for one in pod["volumes"] if "configMap" in one)
    (folder,) = (one["mountPath"] for one in container["volumeMounts"] if one["name"] == volume)
    env = {one["name"]: one["value"] for one in container["env"]}
    (name,) = config_map["data"]
    assert env["RELAY_MAPPING"] == f"{folder}/{name}"
    text = config_map["data"][name]
    assert text == (ROOT / "deploy" / "mapping.toml").read_text("utf-8")
    (tmp_path / name).write_text(text)
    assert load_mapping(tmp_path / name) == Mapping()


def probes(container: Resource) -> Iterator[tuple[str, str]]:
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[name]["httpGet"]
        yield asked["path"], asked["port"]


async def test_probes_and_prometheus_ask_for_what_a_relay_answers(
    mongo_url: str, database_name: str, given: list[Resource], container: Resource
) -> None:
    scraped = only("ServiceMonitor", given)["spec"]["endpoints"][0]
    async with running(settings_for(mongo_url, database_name, relay_admin_port=0)) as relay:
        bases = {"http": relay.url, "admin": relay.admin_url}
        for path, port in (*probes(container), (scraped["path"], scraped["port"])):
            assert await status(bases[port], path) == 200, (path, port)
        for path in ("/metrics", "/readyz"):
            assert await status(bases["http"], path) == 404, "clients could ask for it"


async def test_a_pod_full_of_connections_stays_in_service_and_is_not_killed(
    mongo_url: str, database_name: str, container: Resource
) -> None:
    """Probes on the clients' port failed: each relay that was full was killed, and its clients filled the next one."""
    given = {
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database_name,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": "0",
        "RELAY_ADMIN_PORT": str(embedded.free_port()),
        "RELAY_HANDSHAKE_TIMEOUT_MS": "600000",
    }
    limited = ("sh", "-c", f'ulimit -n {FILES}; exec "$@"', "sh")
    with started("serve", until="listening on", before=limited, **given) as (process, printed):
        ports = {"http": port_of(printed), "admin": int(given["RELAY_ADMIN_PORT"])}
        # When more clients connect than there are descriptors, and stay connected,
        with crowding(ports["http"], FILES + 50):
            await asyncio.to_thread(process.printed, "out of file descriptors")
            # then every probe is answered as before.
            for path, port in probes(container):
                assert await status(f"http://127.0.0.1:{ports[port]}", path) == 200, (path, port)


async def test_a_pod_stays_in_service_and_greets_clients_while_the_database_is_away(
    container: Resource,
) -> None:
    asked = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    with embedded.start() as server:
        given = {
            "RELAY_MONGO_URL": server.url,
            "RELAY_JWT_SECRET": SECRET,
            "RELAY_PORT": "0",
            "RELAY_ADMIN_PORT": str(embedded.free_port()),
        }
        with started("serve", until="listening on", **given) as (_, printed):
            url = f"http://127.0.0.1:{port_of(printed)}"
            bases = {"http": url, "admin": f"http://127.0.0.1:{given['RELAY_ADMIN_PORT']}"}
            server.stop()
            async with asyncio.timeout(SOON_S):
                while (
                    await status(bases[asked["startupProbe"]["port"]], asked["startupProbe"]["path"]) != 503
                ):
                    await asyncio.sleep(LOOK_S)
            for name in ("readinessProbe", "livenessProbe"):
                assert await status(bases[asked[name]["port"]], asked[name]["path"]) == 200, name
            async with connected(url) as client:
                await client.until("stream:status", state="stale")


async def status(base: str, path: str) -> int:
    """Return the status of the answer to a GET request."""

    def ask() -> int:
        connection = HTTPConnection(urlsplit(base).netloc, timeout=SOON_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


def test_a_rollout_starts_a_new_relay_before_it_stops_an_old_one(given: list[Resource]) -> None:
    spec: dict[str, Any] = only("Deployment", given)["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["replicas"] > only("PodDisruptionBudget", given)["spec"]["maxUnavailable"]

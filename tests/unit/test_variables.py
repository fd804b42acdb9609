"""Warnings about environment variables that look like settings but are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config import Settings
from relay.variables import MAX_WARNINGS, is_service_link, warnings

SETTINGS = [name.upper() for name in Settings.model_fields]


def links_of(service: str, port: int = 8080, protocol: str = "tcp", name: str = "http") -> dict[str, str]:
    """Return the variables that the kubelet sets for a Service, as the documentation of Kubernetes lists them."""
    base = service.upper().replace("-", "_")
    address = f"{protocol}://10.96.0.12:{port}"
    one = f"{base}_PORT_{port}_{protocol.upper()}"
    return {
        f"{base}_SERVICE_HOST": "10.96.0.12",
        f"{base}_SERVICE_PORT": str(port),
        f"{base}_SERVICE_PORT_{name.upper().replace('-', '_')}": str(port),
        f"{base}_PORT": address,
        one: address,
        f"{one}_PROTO": protocol,
        f"{one}_PORT": str(port),
        f"{one}_ADDR": "10.96.0.12",
    }


SERVICES = st.sampled_from(
    ["relay", "relay-admin", "relay-jwks", "relay-mongo", "relay-host", "feature-websocket", "relay-port"]
) | st.from_regex(r"relay(-[a-z0-9]{1,8}){1,3}", fullmatch=True)


@given(
    SERVICES,
    st.integers(1, 65535),
    st.sampled_from(["tcp", "udp", "sctp"]),
    st.sampled_from(["http", "web-2"]),
)
def test_all_variables_of_kubernetes_services_make_one_warning(
    service: str, port: int, protocol: str, name: str
) -> None:
    links = links_of(service, port, protocol, name)
    assert all(is_service_link(name, value) for name, value in links.items())
    (warning,) = warnings(links, SETTINGS)
    assert "enableServiceLinks: false" in warning
    assert f"{service.upper().replace('-', '_')}_" in warning
    assert "10.96" not in warning


@given(st.sampled_from(SETTINGS), st.text(max_size=20) | st.integers(0, 65535).map(str))
def test_no_setting_is_mistaken_for_a_variable_of_a_service(name: str, value: str) -> None:
    assert not is_service_link(name, value) or value.strip().lower().startswith(
        ("tcp://", "udp://", "sctp://")
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RELAY_PROT", "RELAY_PORT"),
        ("RELAY_MONGO_URI", "RELAY_MONGO_URL"),
        ("RELAY_MONGODB_URL", "RELAY_MONGO_URL"),
        ("RELAY_JWT_SECRTE", "RELAY_JWT_SECRET"),
        ("RELAY_SECRET", "RELAY_JWT_SECRET"),
        ("RELAY_JWKS_URI", "RELAY_JWKS_URL"),
        ("RELAY_ALLOWED_ORIGIN", "RELAY_ALLOWED_ORIGINS"),
        ("RELAY_TRUSTED_PROXY", "RELAY_TRUSTED_PROXIES"),
        ("relay_public_uri", "RELAY_PUBLIC_URL"),
        ("FEATURE_WEBSOCKET_ENABLE", "FEATURE_WEBSOCKET_ENABLED"),
        ("FEATURE_WEBSOCKETS_ENABLED", "FEATURE_WEBSOCKET_ENABLED"),
        ("FEATURE_WEBSOKET_PERCENT", "FEATURE_WEBSOCKET_PERCENT"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_setting_that_was_meant(name: str, meant: str) -> None:
    (warning,) = warnings({name: "hunter2"}, SETTINGS)
    assert warning == f"{name} is not a setting of the relay, and is not read; did you mean {meant}?"


@pytest.mark.parametrize("name", ["RELAY_COLOUR_OF_THE_BIKE_SHED", "RELAY_FOO", "RELAY_"])
def test_a_variable_that_resembles_no_setting_is_named_alone(name: str) -> None:
    said = f"{name} is not a setting of the relay, and is not read."
    assert warnings({name: "hunter2"}, SETTINGS) == [said]


def test_known_and_foreign_variables_cause_no_warning() -> None:
    names = [
        *SETTINGS,
        *map(str.lower, SETTINGS),
        "RELAY_URL",
        "RELAY_TOKEN",
        "RELAY_TEST_KILLS",
        "FEATURE_BILLING_ENABLED",
        "FEATURE_WEB",
        "MY_RELAY_PORT",
        "PATH",
    ]
    assert warnings(dict.fromkeys(names, "1"), SETTINGS) == []


@given(
    st.dictionaries(st.text(max_size=200).map(lambda text: "RELAY_" + text), st.just("hunter2"), max_size=40)
)
def test_warnings_are_few_and_show_no_value(environment: dict[str, str]) -> None:
    lines = warnings(environment, SETTINGS)
    assert len(lines) <= MAX_WARNINGS + 2
    assert all(line.isprintable() and "hunter2" not in line and len(line) < 400 for line in lines)

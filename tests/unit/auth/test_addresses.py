"""A connection counts for the right address, whatever its headers say."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.auth.addresses import client_address, is_proxy, networks

PROXIES = networks(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "header", "counted"),
    [
        # A peer that is not a proxy counts for itself, whatever its header says;
        ("1.2.3.4", ["9.9.9.9"], "1.2.3.4"),
        ("1.2.3.4", ["10.0.0.1"], "1.2.3.4"),
        ("::ffff:1.2.3.4", ["9.9.9.9"], "1.2.3.4"),
        # a trusted proxy counts for the address that it names,
        ("10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("::ffff:10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("fd00::1", [" 9.9.9.9 "], "9.9.9.9"),
        ("10.0.0.1", ["9.9.9.9:4711"], "9.9.9.9"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::/64"),
        ("10.0.0.1", ["::ffff:9.9.9.9"], "9.9.9.9"),
        # through any number of trusted proxies,
        ("10.0.0.1", ["9.9.9.9, 10.0.0.2, 10.0.0.3"], "9.9.9.9"),
        ("10.0.0.1", ["9.9.9.9", "10.0.0.2"], "9.9.9.9"),
        # but not for an address that the client wrote into the header.
        ("10.0.0.1", ["8.8.8.8, 9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["10.0.0.9, 9.9.9.9, 10.0.0.2"], "9.9.9.9"),
        ("10.0.0.1", ["8.8.8.8", "9.9.9.9"], "9.9.9.9"),
        # An entry that is missing, or not an address, ends the walk.
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["8.8.8.8, x, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        # An IPv6 network of 64 bits counts as one client.
        ("2001:db8:0:1::1", [], "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff::9", [], "2001:db8:0:1::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("", ["9.9.9.9"], ""),
    ],
)
def test_a_connection_counts_for_the_right_address(peer: str, header: list[str], counted: str) -> None:
    """S28."""
    assert client_address(peer, header, PROXIES) == counted


@pytest.mark.parametrize(
    ("said", "counted"),
    [([], ""), (["9.9.9.9"], "9.9.9.9"), (["8.8.8.8, 9.9.9.9, 10.0.0.1"], "9.9.9.9"), (["unknown"], "")],
)
def test_a_trusted_proxy_on_a_unix_socket_names_its_clients(said: list[str], counted: str) -> None:
    """The peer of a Unix socket has no address."""
    proxies = networks(["unix:", "10.0.0.0/8"])
    assert client_address("", said, proxies) == counted
    assert is_proxy("", proxies)
    assert not is_proxy("", PROXIES)
    assert not is_proxy("unix:", proxies)
    assert not is_proxy("9.9.9.9", proxies)


ADDRESSES = st.ip_addresses().map(str)
PARTS = (
    ADDRESSES | st.text(st.characters(max_codepoint=0xFF), max_size=40) | st.sampled_from(["10.0.0.1", ""])
)
HEADERS = st.lists(st.lists(PARTS, max_size=4).map(",".join), max_size=4)


@given(PARTS, HEADERS)
def test_no_header_makes_the_reading_fail(peer: str, header: list[str]) -> None:
    assert isinstance(client_address(peer, header, PROXIES), str)


@given(ADDRESSES, HEADERS)
def test_without_trusted_proxies_no_header_counts(peer: str, header: list[str]) -> None:
    assert client_address(peer, header, ()) == client_address(peer, [], ())


@given(st.ip_addresses(v=4), HEADERS, st.sampled_from(["10.0.0.1", "127.0.0.1", "fd00::1"]))
def test_the_entry_that_a_proxy_appends_outranks_the_clients_own(
    client: ipaddress.IPv4Address, header: list[str], proxy: str
) -> None:
    if not any(client in network for network in PROXIES):
        assert client_address(proxy, [*header, str(client)], PROXIES) == str(client)

"""Origins and public addresses are read as browsers write them, or refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.urls import linked, origin_of, public_url


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("https://app.example.com/", "https://app.example.com"),
        ("HTTPS://App.Example.COM", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:80/", "http://app.example.com"),
        ("http://app.example.com:443", "http://app.example.com:443"),
        ("https://app.example.com:80", "https://app.example.com:80"),
        ("http://localhost:05173", "http://localhost:5173"),
        ("http://localhost:", "http://localhost"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:443", "https://xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://日本。jp", "https://xn--wgv71a.jp"),
        ("http://[2001:DB8:0:0::1]:80", "http://[2001:db8::1]"),
        ("http://[::ffff:127.0.0.1]:3000", "http://[::ffff:7f00:1]:3000"),
        ("https://app.example.com.", "https://app.example.com."),
        ("capacitor://localhost", "capacitor://localhost"),
        (
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        ),
    ],
)
def test_an_origin_is_converted_to_the_form_that_browsers_send(text: str, origin: str) -> None:
    assert origin_of(text) == origin
    assert origin_of(origin) == origin


@pytest.mark.parametrize(
    "text",
    [
        *("null", "*", "https://*.example.com", "app.example.com", "app.example.com:443", "localhost:5173"),
        *("//app.example.com", "https:app.example.com", "https:/app.example.com", "https://", "https:///x"),
        *("https://app.example.com/path", "https://app.example.com//", "https://app.example.com?x"),
        *("https://app.example.com#x", "https://user@app.example.com", "https://user:x@app.example.com"),
        *("https://app.example.com:99999", "https://app.example.com:x", "https://a b", "https://a\tb"),
        *("https://a\nb", "https://a\\b", "https://a..b", "https://.a", "https://a%41", "https://[::1"),
        *("https://[fe80::1%eth0]", "https://[1]", "https://1.2.3", "https://0x7f.1", "https://1.2.3.4.5"),
        *("wss://app.example.com", "ws://app.example.com", "file:///index.html", "https://straße.example"),
        *("", " ", "://", "https://a,b", "https://a<b>", "1http://a"),
    ],
)
def test_an_origin_that_no_browser_would_send_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must ") as failure:
        origin_of(text)
    assert str(failure.value).count("\n") == 0


LABELS = st.text(
    st.characters(exclude_categories=("Cs",), max_codepoint=0x2FFF)
    | st.sampled_from("abcxyz-_0189.ü。１İıſK"),
    min_size=1,
    max_size=6,
)
HOSTS = (
    st.lists(LABELS, min_size=1, max_size=3).map(".".join)
    | st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(lambda address: f"[{str(address).upper()}]")
    | st.sampled_from(["[::ffff:1.2.3.4]", "127.1", "[::]", "[1::0:0:1]", "LOCALHOST"])
)
PORTS = st.sampled_from(["", ":", ":80", ":443", ":0443", ":5173", ":65535", ":65536", ":0"])
PATHS = st.sampled_from(["", "/", "/live", "/live/", "/a b", "/é", "/a%20b", "/..", "/a/%2e/", "/[|~]"])
ADDRESSES = st.tuples(st.sampled_from(["http://", "https://", "HTTPS://"]), HOSTS, PORTS, PATHS).map("".join)


READ = """
    const read = (one) => { try { const url = new URL(one); return [url.origin, url.href]; } catch { return null; } };
    require("readline").createInterface({ input: process.stdin })
        .on("line", (line) => console.log(JSON.stringify(read(JSON.parse(line)))));
"""


@pytest.fixture(scope="module")
def as_browsers() -> Iterator[Callable[[str], list[str] | None]]:
    """Reads an address with the URL class of browsers: its origin and its href, or None where that throws."""
    with subprocess.Popen(["node", "-e", READ], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as node:
        assert node.stdin is not None
        assert node.stdout is not None

        def ask(address: str) -> list[str] | None:
            node.stdin.write(json.dumps(address).encode() + b"\n")
            node.stdin.flush()
            read: list[str] | None = json.loads(node.stdout.readline())
            return read

        yield ask
        node.stdin.close()


@given(ADDRESSES)
@settings(max_examples=1000)
def test_an_accepted_address_equals_what_browsers_make_of_it(as_browsers: Any, address: str) -> None:
    browsers = as_browsers(address)  # None for a host such as combining marks, which nobody can send
    with suppress(ValueError):
        origin = origin_of(address)
        assert browsers is None or origin == browsers[0]
    with suppress(ValueError):
        url = public_url(address)
        assert browsers is None or url == browsers[1].rstrip("/")


@given(st.text(max_size=60))
def test_any_string_gives_an_origin_or_a_reason(text: str) -> None:
    for read in (origin_of, public_url):
        try:
            made = read(text)
        except ValueError as failure:
            assert str(failure).startswith("must ")
        else:
            assert made.isascii()
            assert read(made) == made


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *((path, path) for path in ("/", "/login", "/login?next=a#b", "/über/uns")),
        ("https://ID.example.com:443", "https://id.example.com/"),
        (
            "https://id.example.com/authorize?client=live&x=1",
            "https://id.example.com/authorize?client=live&x=1",
        ),
        ("https://app.example.com/#/login", "https://app.example.com/#/login"),
        ("http://bücher.example/a", "http://xn--bcher-kva.example/a"),
    ],
)
def test_a_page_may_lead_to_a_path_and_to_a_url(text: str, meant: str) -> None:
    assert linked(text) == meant
    assert linked(meant) == meant


@pytest.mark.parametrize(
    "text",
    [
        *(
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/a b",
            "/\t/evil.example",
            "/a\u200bb",
            "login",
        ),
        *(
            "javascript:alert(1)",
            "JavaScript://app.example.com/%0aalert(1)",
            "data:text/html,x",
            "ftp://a.example/",
        ),
        *(
            "https://user:x@app.example.com/",
            "https://",
            "https:/login",
            "app.example.com/login",
            "ws://a.example/",
        ),
    ],
)
def test_a_page_leads_nowhere_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must "):
        linked(text)

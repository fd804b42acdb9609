"""Which keys are accepted from a PEM and from a JWKS, and for which algorithms."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.token_forgery import jwk, jwks, pem, private_pem, signed

from relay import config
from relay.auth.keys import BadKey, FixedKeys, from_jwks, key_source
from relay.auth.tokens import Verifier
from relay.errors import Refused, StartupError

SECRET = "0123456789abcdef0123456789abcdef"
PUBLIC = ["RS256", "ES256"]
CLAIMS = {"sub": "a", "exp": int(time.time()) + 86_400}
SOON_S = 30.0


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


# One public key.


def test_a_public_key_may_be_given_as_text_or_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(pem("RSA"))
    for given_as in (pem("RSA"), pem("RSA").replace("\n", "\r\n"), str(file)):
        source = key_source(config.load(relay_jwt_public_key=given_as))
        assert Verifier(source).verify(signed(CLAIMS, "RSA", "RS256")).sub == "a"


@pytest.mark.parametrize(
    ("text", "algorithms", "says"),
    [
        (lambda: private_pem("RSA"), PUBLIC, "private key"),
        (lambda: pem("RSA") + private_pem("RSA"), PUBLIC, "private key"),
        (lambda: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", PUBLIC, "certificate"),
        (lambda: pem("RSA")[:100], PUBLIC, "not a public key in PEM"),
        (lambda: pem("RSA-1024"), PUBLIC, "has 1024 bits"),
        (lambda: pem("P-384"), PUBLIC, "ES384 but not with RS256, ES256"),
        (lambda: pem("Ed25519"), PUBLIC, "EdDSA but not with RS256, ES256"),
        (lambda: pem("RSA"), ["ES256"], "not with ES256"),
        (lambda: pem("P-256"), ["RS256", "ES384"], "ES256 but not with RS256, ES384"),
        (lambda: "/nowhere/hunter2.pem", PUBLIC, "No such file"),
        (lambda: "/", PUBLIC, "Is a directory"),
        (lambda: "ssh-rsa hunter2", PUBLIC, "must be PEM text or the path"),
        (lambda: json.dumps(jwk("RSA")), PUBLIC, "must be PEM text or the path"),
        (lambda: "hunter2\0", PUBLIC, "must be PEM text or the path"),
    ],
)
def test_an_unusable_key_stops_the_start(text: Callable[[], str], algorithms: list[str], says: str) -> None:
    """S8: one sentence names the variable and the problem, without showing the key."""
    given_as = text()
    settings = config.load(relay_jwt_public_key=given_as, relay_jwt_algorithms=tuple(algorithms))
    with pytest.raises(StartupError) as failure:
        key_source(settings)
    sentence = str(failure.value)
    assert sentence.startswith("RELAY_JWT_PUBLIC_KEY: ")
    assert says in sentence
    assert "\n" not in sentence
    assert "hunter2" not in sentence
    assert given_as[30:60] not in sentence or len(given_as) < 30
    assert failure.value.__cause__ is None


def test_a_key_file_that_is_no_text_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "key.der"
    file.write_bytes(b"\x30\x82\xff\xfe")
    with pytest.raises(StartupError, match="it is not text"):
        key_source(config.load(relay_jwt_public_key=str(file)))


# Several public keys.


@pytest.mark.parametrize("form", ["blocks", "paths", "paths in lines", "one file of both"])
def test_tokens_of_each_of_several_public_keys_are_valid(tmp_path: Path, form: str) -> None:
    new, old = tmp_path / "new.pem", tmp_path / "old.pem"
    new.write_text(pem("RSA"))
    old.write_text(pem("P-256") if form != "one file of both" else pem("P-256") + pem("RSA"))
    given_as = {
        "blocks": pem("RSA") + pem("P-256"),
        "paths": f"{new} {old}",
        "paths in lines": f"{new}\n{old}\n",
        "one file of both": str(old),
    }[form]
    verifier = Verifier(key_source(config.load(relay_jwt_public_key=given_as)))
    assert verifier.verify(signed(CLAIMS, "RSA", "RS256")).sub == "a"
    assert verifier.verify(signed(CLAIMS, "P-256", "ES256")).sub == "a"
    with pytest.raises(Refused):
        verifier.verify(signed(CLAIMS, "RSA-other", "RS256"))


def test_a_path_with_a_blank_in_it_is_one_path(tmp_path: Path) -> None:
    file = tmp_path / "our key.pem"
    file.write_text(pem("RSA"))
    source = key_source(config.load(relay_jwt_public_key=str(file)))
    assert Verifier(source).verify(signed(CLAIMS, "RSA", "RS256")).sub == "a"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (lambda: pem("RSA") + private_pem("P-256"), "the second key is a private key"),
        (lambda: pem("RSA-1024") + pem("RSA"), "the first key has 1024 bits"),
        (lambda: pem("RSA") + pem("P-256") + pem("P-384"), "the third key is a key of the curve secp384r1"),
        (lambda: pem("RSA") + "-----BEGIN CERTIFICATE-----\nMIIB\n", "the second key is a certificate"),
        (lambda: pem("RSA") * 5, "the key list has more than 4 keys"),
        (lambda: "/etc/passwd /nowhere/hunter2.pem", "the second of several: No such file"),
        (lambda: "/etc/passwd /etc/passwd", "the first key is not a public key in PEM"),
    ],
)
def test_an_unusable_one_of_several_public_keys_stops_the_start(text: Callable[[], str], says: str) -> None:
    """S8: the sentence says which of them it is."""
    with pytest.raises(StartupError) as failure:
        key_source(config.load(relay_jwt_public_key=text()))
    assert str(failure.value).startswith("RELAY_JWT_PUBLIC_KEY: ")
    assert says in str(failure.value)
    assert "hunter2" not in str(failure.value)


def test_a_start_without_any_key_names_the_settings_for_one() -> None:
    with pytest.raises(StartupError, match=r"RELAY_JWT_SECRET is not set.*PUBLIC_KEY or RELAY_JWKS_URL"):
        key_source(config.load())


# A set of keys.


@pytest.mark.parametrize(
    "unusable",
    [
        pytest.param({"kty": "oct", "k": "", "kid": "x"}, id="an empty secret"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0", "alg": "RS256"}, id="a secret that says RS256"),
        pytest.param(jwk("RSA", use="enc"), id="for encryption"),
        pytest.param(jwk("RSA", use=None), id="for nothing"),
        pytest.param(jwk("RSA", key_ops=["sign"]), id="to sign with"),
        pytest.param(jwk("RSA", key_ops="verify"), id="key_ops as text"),
        pytest.param(jwk("RSA", alg="HS256"), id="RSA that says HS256"),
        pytest.param(jwk("RSA", alg="RSA-OAEP"), id="RSA that says RSA-OAEP"),
        pytest.param(jwk("RSA", alg="none"), id="RSA that says none"),
        pytest.param(jwk("RSA", alg=["RS256"]), id="alg as a list"),
        pytest.param(jwk("P-256", alg="RS256"), id="P-256 that says RS256"),
        pytest.param(jwk("P-384"), id="a curve that is not configured"),
        pytest.param(jwk("RSA-1024"), id="a short key"),
        pytest.param(jwk("RSA", secret=True), id="a private key"),
        pytest.param(jwk("RSA", kid="x" * 257), id="a long name"),
        pytest.param({**jwk("RSA"), "kid": 5}, id="a name that is a number"),
        pytest.param({**jwk("RSA"), "n": ""}, id="no modulus"),
        pytest.param({**jwk("RSA"), "e": "AQ"}, id="exponent 1"),
        pytest.param({**jwk("P-256"), "x": "AAAA"}, id="a point off the curve"),
        pytest.param({**jwk("P-256"), "crv": "P-521"}, id="another curve's name"),
        pytest.param({**jwk("P-256"), "crv": "secp256k1"}, id="secp256k1"),
        pytest.param({"kty": "RSA"}, id="a type and nothing else"),
        pytest.param({"kty": ["RSA"]}, id="a list as type"),
        pytest.param({}, id="nothing"),
        pytest.param(None, id="null"),
        pytest.param("RSA", id="text"),
    ],
)
def test_keys_for_other_purposes_are_ignored(unusable: Any) -> None:
    """S7, S8, S9: the key's own type, use and algorithm are respected."""
    document = jwks(unusable, jwk("P-256", "good", use="sig", key_ops=["verify"], alg="ES256"))
    keys, ignored = from_jwks(document, PUBLIC)
    assert (len(keys), ignored) == (1, 1)
    assert keys.has("good")
    with pytest.raises(BadKey, match="no key that may be used with RS256, ES256"):
        from_jwks(jwks(unusable), PUBLIC)


def test_a_key_is_used_only_with_the_algorithm_that_it_states() -> None:
    keys, _ = from_jwks(jwks(jwk("RSA", "one", alg="RS512")), ["RS256", "RS512"])
    assert Verifier(FixedKeys(keys)).verify(signed(CLAIMS, "RSA", "RS512", kid="one")).sub == "a"
    with pytest.raises(Refused):
        Verifier(FixedKeys(keys)).verify(signed(CLAIMS, "RSA", "RS256", kid="one"))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b"[" * 100_000,
        pytest.param(jwks(*[jwk("P-256")] * 101), id="101 keys"),
    ],
)
def test_an_invalid_set_of_keys_is_rejected(document: bytes) -> None:
    with pytest.raises(BadKey):
        from_jwks(document, PUBLIC)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = ["kty", "kid", "alg", "use", "key_ops", "n", "e", "crv", "x", "y", "d", "k", "x5c"]


@given(st.sampled_from(["RSA", "P-256", "Ed25519"]), st.dictionaries(st.sampled_from(MEMBERS), JSON))
def test_an_invalid_key_raises_nothing_but_bad_key(name: str, changes: dict[str, Any]) -> None:
    try:
        keys, _ = from_jwks(json.dumps({"keys": [{**jwk(name), **changes}]}).encode(), [*PUBLIC, "EdDSA"])
    except BadKey:
        return
    assert len(keys) == 1


def test_a_hundred_keys_are_read_quickly() -> None:
    """F52."""
    document = jwks(*[jwk("P-256", f"k{n}") for n in range(50)], *[jwk("RSA", f"r{n}") for n in range(50)])
    began = time.thread_time()  # the clock of the wall also counts what other programs do
    keys, _ = from_jwks(document, PUBLIC)
    assert len(keys) == 100
    assert time.thread_time() - began < 0.5  # it takes some milliseconds

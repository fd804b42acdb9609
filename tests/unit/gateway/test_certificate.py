"""Which certificates and keys the relay serves TLS with, and what it says about those it cannot use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from support.certificates import Authority

from relay import config
from relay.config import Settings, defaults
from relay.errors import StartupError
from relay.gateway.certificate import Certificate, certificate_of

PASSWORD = "hunter2 "


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def divided(both: Path) -> tuple[Path, Path]:
    """Divide a PEM file into one with the certificate and one with its key."""
    key, _, certificate = both.read_text().partition("-----BEGIN CERTIFICATE-----")
    files = both.with_suffix(".crt"), both.with_suffix(".key")
    files[0].write_text(f"-----BEGIN CERTIFICATE-----{certificate}")
    files[1].write_text(key)
    return files


def encrypted(key: Path) -> Path:
    pem = serialization.Encoding.PEM
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    how = serialization.BestAvailableEncryption(PASSWORD.encode())
    file = key.with_suffix(".encrypted")
    file.write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, how))
    return file


def settings(cert: object, key: object = None, password: str = "") -> Settings:
    given = {"relay_tls_cert": cert, "relay_tls_key": key, "relay_tls_key_password": password}
    return defaults(**{name: value for name, value in given.items() if value})


def refusal(of: Settings) -> str:
    with pytest.raises(StartupError) as failure:
        Certificate(of)
    sentence = str(failure.value)
    assert "hunter2" not in sentence
    assert "\n" not in sentence
    return sentence


def test_a_certificate_and_its_key_may_be_in_one_file_or_in_two(authority: Authority) -> None:
    both = authority.issue("relay", days=90)
    for given in (settings(both), settings(*divided(both))):
        certificate = certificate_of(given)
        assert certificate is not None
        assert certificate.warning() is None
    assert certificate_of(defaults()) is None


def test_an_encrypted_key_is_used_with_its_password(authority: Authority) -> None:
    chain, key = divided(authority.issue("relay"))
    file = encrypted(key)
    Certificate(settings(chain, file, PASSWORD))
    assert refusal(settings(chain, file)) == (
        f"RELAY_TLS_KEY: the key in {file} is encrypted, and RELAY_TLS_KEY_PASSWORD is not set."
    )
    assert refusal(settings(chain, file, "hunter2hunter2")) == (
        f"RELAY_TLS_KEY_PASSWORD: does not decrypt the key in {file}."
    )


def test_files_that_cannot_be_used_are_named_in_one_sentence(authority: Authority, tmp_path: Path) -> None:
    chain, key = divided(authority.issue("relay"))
    _, foreign = divided(authority.issue("other"))
    junk = tmp_path / "junk.pem"
    junk.write_text("hunter2")
    away = tmp_path / "away.pem"
    assert refusal(settings(away, key)) == (
        f"RELAY_TLS_CERT: {away} cannot be read (No such file or directory)."
    )
    assert refusal(settings(chain, away)) == (
        f"RELAY_TLS_KEY: {away} cannot be read (No such file or directory)."
    )
    assert refusal(settings(tmp_path, key)) == f"RELAY_TLS_CERT: {tmp_path} cannot be read (Is a directory)."
    assert refusal(settings(junk, key)) == f"RELAY_TLS_CERT: {junk} has no certificate in PEM."
    assert (
        refusal(settings(chain, junk)) == f"RELAY_TLS_KEY: {junk} has no private key in PEM that can be used."
    )
    assert refusal(settings(chain)) == f"RELAY_TLS_KEY: {chain} has no private key in PEM that can be used."
    assert refusal(settings(chain, foreign)) == (
        f"RELAY_TLS_KEY: the key in {foreign} is not that of the certificate in {chain}."
    )


def test_a_pipe_is_refused_and_not_waited_for(authority: Authority, tmp_path: Path) -> None:
    chain, _ = divided(authority.issue("relay"))
    os.mkfifo(pipe := tmp_path / "pipe")
    assert refusal(settings(pipe)) == f"RELAY_TLS_CERT: {pipe} cannot be read (it is a pipe)."
    assert refusal(settings(chain, pipe)) == f"RELAY_TLS_KEY: {pipe} cannot be read (it is a pipe)."


def test_a_device_without_an_end_is_refused(authority: Authority) -> None:
    zeros = Path("/dev/zero")
    chain, _ = divided(authority.issue("relay"))
    assert refusal(settings(zeros)) == "RELAY_TLS_CERT: /dev/zero cannot be read (it is a device)."
    assert refusal(settings(chain, zeros)) == "RELAY_TLS_KEY: /dev/zero cannot be read (it is a device)."


@pytest.mark.parametrize(("days", "verb"), [(-1, "expired at"), (3, "expires at"), (8, None)])
def test_a_certificate_that_has_expired_or_will_soon_is_warned_about(
    authority: Authority, days: int, verb: str | None
) -> None:
    """It is served all the same: clients that insist can still connect."""
    said = Certificate(settings(authority.issue("relay", days=days))).warning()
    assert (said is None) == (verb is None)
    assert verb is None or verb in str(said)


def test_a_certificate_is_read_again_and_stays_if_the_new_one_cannot_be_used(authority: Authority) -> None:
    chain, key = divided(authority.issue("relay", days=3))
    given = settings(chain, key)
    certificate = Certificate(given)
    assert not certificate.reload(given)
    before = certificate.warning()
    new_chain, new_key = divided(authority.issue("new", days=99))
    chain.write_bytes(new_chain.read_bytes())  # and not its key, yet
    for use in (certificate.check, certificate.reload):
        with pytest.raises(StartupError, match="is not that of the certificate"):
            use(given)
    assert certificate.warning() == before
    key.write_bytes(new_key.read_bytes())
    assert certificate.reload(given)
    assert certificate.warning() is None
    assert certificate.reload(settings(authority.issue("at another path")))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {
                "RELAY_TLS_CERT": "/c.pem",
                "RELAY_LISTEN": "unix:/run/r.sock",
                "RELAY_PUBLIC_URL": "https://a.b",
            },
            "RELAY_TLS_CERT: cannot be set together with RELAY_LISTEN: a Unix socket has no TLS",
        ),
        (
            {"RELAY_TLS_CERT": "/c.pem", "RELAY_WORKER_PORTS": "unix:/run/relay"},
            "RELAY_TLS_CERT: cannot be set together with RELAY_WORKER_PORTS: a Unix socket has no TLS",
        ),
        ({"RELAY_TLS_KEY": "/k.pem"}, "RELAY_TLS_KEY: needs RELAY_TLS_CERT"),
        ({"RELAY_TLS_KEY_PASSWORD": "hunter2"}, "RELAY_TLS_KEY_PASSWORD: needs RELAY_TLS_CERT"),
    ],
)
def test_settings_of_tls_that_do_not_go_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], says: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as failure:
        config.load()
    assert str(failure.value).startswith(says)
    assert "hunter2" not in str(failure.value)

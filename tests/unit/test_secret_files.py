"""Secrets that come from files: which files are accepted, and that no sentence shows what is in one."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from relay import config, file_content, secret_files
from relay.errors import StartupError

SECRET = "hunter2hunter2hunter2hunter2hunter2"
URL = "mongodb://bob:hunter2@a/?replicaSet=rs0"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(secret_files.variable(name), raising=False)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path that RELAY_JWT_SECRET_FILE names. The file does not exist yet."""
    path = tmp_path / "jwt"
    monkeypatch.setenv("RELAY_JWT_SECRET_FILE", str(path))
    return path


def secret() -> str:
    read = config.load().relay_jwt_secret
    assert read is not None
    return read.get_secret_value()


def refusal() -> str:
    with pytest.raises(StartupError) as failure:
        config.load()
    sentence = str(failure.value)
    assert "hunter2" not in sentence
    return sentence


@pytest.mark.parametrize("name", sorted(config.SECRETS))
def test_every_secret_may_come_from_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text(value := "https://example.com/0123456789abcdef0123456789abcdef")
    monkeypatch.setenv(f"{name.upper()}_FILE", f"{path}\n")
    if name == "relay_tls_key_password":
        monkeypatch.setenv("RELAY_TLS_CERT", "/etc/relay/chain.pem")
    settings = config.load()
    read = getattr(settings, name)
    assert (read if name == "relay_jwks_url" else read.get_secret_value()) == value
    assert config.source_of(settings, name) == "file"
    assert config.warnings(settings) == []


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("value", [SECRET, f" {SECRET}  ", f"{SECRET} ü\t"])
def test_only_the_newline_at_the_end_of_a_file_is_no_part_of_a_secret(
    file: Path, value: str, end: str
) -> None:
    file.write_bytes((value + end).encode())
    assert secret() == value


def test_a_byte_order_mark_is_no_part_of_a_secret(file: Path) -> None:
    file.write_text(SECRET, "utf-8-sig")
    assert secret() == SECRET


def test_a_variable_and_a_file_together_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(SECRET)
    monkeypatch.setenv("RELAY_JWT_SECRET", SECRET)
    assert refusal() == (
        "RELAY_JWT_SECRET_FILE: cannot be set together with RELAY_JWT_SECRET: only one can be meant."
    )


@pytest.mark.parametrize("nothing", ["", "\n"])
def test_a_variable_that_is_empty_does_not_count_beside_a_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, nothing: str
) -> None:
    file.write_text(SECRET)
    monkeypatch.setenv("RELAY_JWT_SECRET", nothing)
    monkeypatch.setenv("RELAY_MONGO_URL", URL)
    monkeypatch.setenv("RELAY_MONGO_URL_FILE", nothing)
    assert secret() == SECRET


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty."),
        (b"\n", "is empty."),
        (b" \t\r\n \n", "is empty."),
        (b" " * 40, "is empty."),
        (b"hunter2\xff" * 8, "is not UTF-8."),
        (b"hunter2!" * 8193, "is larger than 64 KiB."),
    ],
)
def test_a_file_that_cannot_be_a_secret_is_refused_with_its_path_and_without_its_content(
    file: Path, content: bytes, reason: str
) -> None:
    file.write_bytes(content)
    assert refusal().endswith(reason)


def test_a_file_that_cannot_be_read_is_refused_with_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_JWT_SECRET_FILE", "/nowhere/run-secrets/relay_jwt_secret")
    assert refusal() == (
        "RELAY_JWT_SECRET_FILE: /nowhere/run-secrets/relay_jwt_secret cannot be read (No such file or directory)."
    )
    monkeypatch.setenv("RELAY_JWT_SECRET_FILE", "/run/..")
    assert refusal() == "RELAY_JWT_SECRET_FILE: /run/.. cannot be read (Is a directory)."


@pytest.mark.parametrize(
    "mistaken",
    [
        "9f86d081884c7d659a2feaa0c55ad0159f86d081884c7d659a2feaa0c55ad015",
        "hunter2 with / spaces in @ it",
        "mongodb://bob:hunter2@a/",
        "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
        "hunter2",
        "hunter2\0/",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
    ],
)
def test_a_secret_in_the_place_of_its_path_is_not_shown(mistaken: str) -> None:
    with pytest.raises(StartupError) as failure:
        secret_files.read({"RELAY_JWT_SECRET_FILE": mistaken}, config.SECRETS)
    assert mistaken not in str(failure.value)
    assert "hunter2" not in str(failure.value)


def test_a_key_in_base64_is_not_shown_in_the_place_of_its_path_although_it_has_slashes() -> None:
    keys = [base64.b64encode(Random(number).randbytes(32)).decode() for number in range(500)]
    for key in keys:
        with pytest.raises(StartupError) as failure:
            secret_files.read({"RELAY_REDIS_KEY_FILE": key}, config.SECRETS)
        assert key not in str(failure.value)


@pytest.mark.parametrize("name", sorted(config.SECRETS))
def test_no_file_with_nothing_but_blanks_counts_as_a_setting_that_is_not_set(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path := tmp_path / "secret").write_text(" \n")
    monkeypatch.setenv(variable := f"{name.upper()}_FILE", str(path))
    assert refusal() == f"{variable}: {path} is empty."


def test_a_pipe_may_bring_a_secret_late_but_is_not_waited_for_without_end(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a pipe, to which somebody writes when it is read,
    os.mkfifo(file)
    writing = Thread(target=lambda: file.write_text(f"{SECRET}\n"))
    writing.start()
    assert secret() == SECRET
    writing.join()
    # when nobody writes to it any more, then this is said.
    monkeypatch.setattr(file_content, "PIPE_WITHIN_S", 0.01)
    assert refusal().endswith("cannot be read (it is a pipe that was not written within 0.01 s).")


def test_a_value_of_a_file_that_cannot_be_used_is_refused_by_the_name_of_its_variable(file: Path) -> None:
    file.write_text("hunter2")
    assert refusal().startswith("RELAY_JWT_SECRET_FILE: must be at least 32 bytes long")


def test_a_secret_of_a_file_is_not_shown_in_a_sentence_about_another_setting(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(SECRET)
    monkeypatch.setenv("RELAY_LOG_LEVEL", "hunter2")
    assert "RELAY_LOG_LEVEL" in refusal()


def test_a_file_that_a_keyword_replaces_is_not_read(file: Path) -> None:
    assert not file.exists()
    assert config.load(relay_jwks_url="https://id.example.com/keys").relay_jwt_secret is None


def test_a_misspelt_variable_of_a_file_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_JWT_SECRET_FIEL", "/run/secrets/jwt")
    monkeypatch.setenv("RELAY_PORT_FILE", "/run/secrets/port")
    said = " ".join(config.warnings())
    assert "RELAY_JWT_SECRET_FIEL is not a setting of the relay, and is not read; did you mean" in said
    assert "did you mean RELAY_JWT_SECRET_FILE?" in said
    assert "RELAY_PORT_FILE is not a setting" in said

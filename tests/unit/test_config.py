"""Settings: which values are accepted, and the error messages for others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.token_forgery import jwk, jwks, pem, private_pem
from typer.testing import CliRunner

from relay import config
from relay.cli.commands import cli
from relay.errors import StartupError, may_be_secret
from relay.pipeline import mapping_of
from relay.source.client import names_of

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_key_given_by_keyword_replaces_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_JWKS_URL", "https://id.example.com/jwks")
    settings = config.load(relay_jwt_secret=SECRET)
    assert settings.relay_jwks_url is None
    assert settings.relay_jwt_algorithms == ("HS256",)


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_ALLOWED_ORIGINS", "https://a.example.com, http://b.example.com:3000")
    monkeypatch.setenv("RELAY_JWT_ALGORITHMS", "HS256,HS512")
    monkeypatch.setenv("FEATURE_WEBSOCKET_USERS", "alice, bob,")
    settings = config.load()
    assert settings.relay_allowed_origins == ("https://a.example.com", "http://b.example.com:3000")
    assert settings.relay_jwt_algorithms == ("HS256", "HS512")
    assert settings.feature_websocket_users == ("alice", "bob")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("RELAY_PORT", "eighty", "integer"),
        ("RELAY_PORT", "70000", "65535"),
        ("RELAY_JWT_SECRET", "hunter2hunter2", "at least 32 bytes"),
        ("RELAY_JWT_ALGORITHMS", "HS256,RS256", "not both kinds"),
        ("RELAY_JWT_ALGORITHMS", "RS256,none", "some of RS256"),
        ("RELAY_JWT_ALGORITHMS", "none", "HS256"),
        ("RELAY_JWT_ALGORITHMS", "hs256", "HS256"),
        ("RELAY_JWT_ALGORITHMS", ",", "HS256"),
        ("RELAY_JWKS_URL", "http://hunter2.test/jwks", "https://"),
        ("RELAY_JWKS_URL", "http://127.0.0.1.hunter2.test/jwks", "https://"),
        ("RELAY_JWKS_URL", "http://localhost.hunter2.test/jwks", "https://"),
        ("RELAY_JWKS_URL", "http://10.0.0.1/hunter2", "https://"),
        ("RELAY_JWKS_URL", "file:///etc/hunter2", "https://"),
        ("RELAY_JWKS_URL", "file://localhost/etc/hunter2", "https://"),
        ("RELAY_JWKS_URL", "ftp://localhost/hunter2", "https://"),
        ("RELAY_JWKS_URL", "https://user:hunter2@id.test/jwks", "user or a password"),
        ("RELAY_JWKS_URL", "https:///hunter2", "a URL such as"),
        ("RELAY_JWKS_URL", "https://id.test:hunter2/", "a URL such as"),
        ("RELAY_JWKS_URL", "https://id.test/ hunter2", "a URL such as"),
        ("RELAY_JWKS_URL", "https://id.test/\r\nhunter2: x", "a URL such as"),
        ("RELAY_JWKS_URL", "https://[hunter2/", "a URL such as"),
        ("RELAY_JWKS_URL", "hunter2", "a URL such as"),
        ("RELAY_ALLOWED_ORIGINS", "https://a.example.com/hunter2", "without a path"),
        ("RELAY_ALLOWED_ORIGINS", "https://a.example.com, hunter2.example", "must begin with https://"),
        ("RELAY_ALLOWED_ORIGINS", "https://hunter2:x@a.example.com", "user or a password"),
        ("RELAY_ALLOWED_ORIGINS", "*", "without a *"),
        ("RELAY_ALLOWED_ORIGINS", "null", "sandboxed"),
        ("RELAY_PUBLIC_URL", "hunter2.example", "must begin with https://"),
        ("RELAY_PUBLIC_URL", "hunter2.example:8080", "must begin with https://"),
        ("RELAY_PUBLIC_URL", "wss://hunter2.example", "must begin with https://"),
        ("RELAY_PUBLIC_URL", "https://hunter2:x@a.example.com", "user or a password"),
        ("RELAY_PUBLIC_URL", "https://a.example.com/?hunter2", "without a query"),
        ("RELAY_PUBLIC_URL", "https://a.example.com/#hunter2", "without a fragment"),
        ("RELAY_PUBLIC_URL", "https://a.example.com:hunter2", "a host and a port that exist"),
        ("RELAY_PUBLIC_URL", "https://a.example.com/hunter2/../live", "no .. in its path"),
        ("RELAY_PORT", "http://hunter2", "integer"),
        ("RELAY_LOG_FORMAT", "xml", "console"),
        ("RELAY_MAX_EVENT_BYTES", "1023", "1024"),
        ("FEATURE_WEBSOCKET_PERCENT", "12.5", "integer"),
        ("FEATURE_WEBSOCKET_ENABLED", "perhaps", "boolean"),
    ],
)
def test_a_bad_value_names_the_variable_and_what_is_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as failure:
        config.load()
    sentence = str(failure.value)
    assert sentence.startswith(f"{name}: ")
    assert says in sentence
    # It also shows the value, unless that is a secret or may be one.
    if name.lower() in config.SECRETS or may_be_secret(value):
        assert "hunter2" not in sentence
        assert "but is" not in sentence
    else:
        assert sentence.endswith(f', but is "{value}".')


def test_the_settings_whose_value_is_never_shown_are_known() -> None:
    urls = {"relay_mongo_url", "relay_redis_url", "relay_jwks_url"}
    keys = {"relay_redis_key", "relay_jwt_secret", "relay_jwt_public_key", "relay_tls_key_password"}
    assert urls | keys == config.SECRETS


@pytest.mark.parametrize(
    "secret",
    [
        "9f86d081884c7d659a2feaa0c55ad015",
        "q83vEjRWeJASNFZ4kKvN7w",
        private_pem("Ed25519"),
        private_pem("Ed25519").replace("\n", " "),
        "mongodb://u:p/w",
        "bob:p@ss",
        "hunter2",
        "word hunter2/",
        "hun/t",
    ],
)
def test_no_sentence_shows_a_secret_in_the_wrong_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secret: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELAY_MONGO_URL", "mongodb://bob:hun%2Ft@host/?replicaSet=rs0")
    monkeypatch.setenv("RELAY_REDIS_URL", "redis://bob:hunter2@host/")
    monkeypatch.setenv("RELAY_REDIS_KEY", "word hunter2/")
    monkeypatch.setenv("RELAY_MONGO_DATABASE", "a/b")
    for name in sorted(config.Settings.model_fields):
        with monkeypatch.context() as patch:
            patch.setenv(name.upper(), secret)
            sentences = "\n".join(sentences_of_a_start())
        assert secret not in sentences, name
        assert secret.split()[-1] not in sentences, name
        assert "u:p" not in sentences, name


def sentences_of_a_start() -> Iterator[str]:
    """Yield what each step of a start with the settings of the environment says that fails."""
    try:
        settings = config.load()
    except StartupError as failure:
        yield str(failure)
        return
    for check in (names_of, mapping_of):
        try:
            check(settings)
        except StartupError as failure:
            yield str(failure)


def test_no_sentence_shows_a_secret_in_a_mapping(tmp_path: Path) -> None:
    settings = config.load(relay_jwt_secret="hunter2." * 5, relay_mapping=str(tmp_path / "m.toml"))
    for wrong in ("hunter2.", "hunter2." * 5, "9f86d081884c7d659a2feaa0c55ad015.", "mongodb://u:p/w."):
        (tmp_path / "m.toml").write_text(f"events = {json.dumps(wrong)}\n")
        with pytest.raises(StartupError, match=r"m\.toml: events must be a dotted path") as failure:
            mapping_of(settings)
        assert wrong[:-1] not in str(failure.value)
    key = "9f86d081884c7d659a2feaa0c55ad015"
    rule = f"[[visibility.rules]]\nname = '{key}'\nfield = 'x'\nclaim = 'c'\n"
    for text in (rule * 2, f"[statuses]\nfailed = '{key}'\npr_merged = '{key}'\n"):
        (tmp_path / "m.toml").write_text(text)
        with pytest.raises(StartupError, match="the same") as failure:
            mapping_of(settings)
        assert key not in str(failure.value)


NUMBERS = sorted(
    name for name, field in config.Settings.model_fields.items() if field.annotation in (int, int | None)
)


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_a_lower_and_an_upper_limit(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert len(NUMBERS) > 15
    for number, says in ((-(10**17), "greater than or equal to"), (10**17, "less than or equal to")):
        monkeypatch.setenv(name.upper(), str(number))
        with pytest.raises(StartupError, match=f"^{name.upper()}: .*{says} ") as failure:
            config.load()
        limit = re.search(r"equal to (-?[0-9]+), but is", str(failure.value))
        assert limit is not None
        most = int(limit[1])
        monkeypatch.setenv(name.upper(), str(most))
        assert getattr(config.load(), name) == most


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://App.Example.COM", "https://app.example.com"),
        ("https://app.example.com:443/", "https://app.example.com"),
        ("http://app.example.com:80/live/", "http://app.example.com/live"),
        ("https://bücher.example/live", "https://xn--bcher-kva.example/live"),
        ("https://[2001:DB8::0:1]:443/live", "https://[2001:db8::1]/live"),
        ("https://app.example.com:8443/live\n", "https://app.example.com:8443/live"),
        ("\n", ""),
    ],
)
def test_the_public_url_is_normalised(monkeypatch: pytest.MonkeyPatch, given: str, meant: str) -> None:
    monkeypatch.setenv("RELAY_PUBLIC_URL", given)
    assert config.load().relay_public_url == meant


@pytest.mark.parametrize("name", config.Settings.model_fields)
def test_every_setting_refuses_bytes_that_are_not_utf_8(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for value in ("{}\udcff", "\udcff", "\udcc3{}", "{},\udc80"):
        text = value.format(TEXTS.get(name, "hunter2"))
        monkeypatch.setenv(name.upper(), text)
        with pytest.raises(StartupError) as failure:
            config.load()
        assert str(failure.value) == f"{name.upper()}: must be UTF-8."
        monkeypatch.delenv(name.upper())
        with pytest.raises(StartupError, match="must be UTF-8"):  # a keyword, as the command line gives it
            config.load(**{name: text})


# A valid value of each setting that does not accept any text.
TEXTS = {
    "relay_mongo_url": "mongodb://user:password@host/",
    "relay_mongo_database": "app",
    "relay_tasks_collection": "tasks",
    "relay_mapping": "mapping.toml",
    "relay_host": "127.0.0.1",
    "relay_port": "8081",
    "relay_admin_port": "9090",
    "relay_public_url": "https://app.example.com/live",
    "relay_jwt_secret": SECRET,
    "relay_jwt_algorithms": "HS256",
    "relay_jwt_issuer": "https://id.example.com/",
    "relay_jwt_audience": "relay",
    "relay_allowed_origins": "https://a.example.com,https://b.example.com",
    "relay_token_url": "/live-token",
    "relay_sign_in_url": "https://id.example.com/login",
    "relay_help_url": "mailto:help@example.com",
    "feature_websocket_enabled": "false",
    "feature_websocket_percent": "10",
    "feature_websocket_users": "ada,ben",
    "relay_log_format": "json",
    "relay_log_level": "DEBUG",
}
KEYS_INSTEAD = {"relay_jwt_public_key": "/etc/relay/key.pem", "relay_jwks_url": "https://id.example.com/jwks"}


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/live-token", "/live-token"),
        ("/api/token?for=live", "/api/token?for=live"),
        ("https://App.example.com:443/live-token", "/live-token"),
        ("https://app.example.com", "/"),
    ],
)
def test_the_address_of_tokens_is_a_path_of_the_public_origin(given: str, path: str) -> None:
    settings = config.load(relay_public_url="https://app.example.com/live", relay_token_url=given)
    assert settings.relay_token_url == path


@pytest.mark.parametrize(
    ("public", "given"),
    [
        ("", "https://app.example.com/live-token"),
        ("https://app.example.com/live", "https://evil.example/live-token"),
        ("https://app.example.com/live", "https://app.example.com.evil.example/live-token"),
        ("https://app.example.com/live", "http://app.example.com/live-token"),
        ("https://app.example.com/live", "https://app.example.com:8443/live-token"),
        ("https://app.example.com/live", "//app.example.com/live-token"),
        ("https://app.example.com/live", "live-token"),
    ],
)
def test_the_address_of_tokens_is_of_no_other_origin(public: str, given: str) -> None:
    with pytest.raises(StartupError, match=r"^RELAY_TOKEN_URL: must "):
        config.load(relay_public_url=public, relay_token_url=given)


@pytest.mark.parametrize(
    "text", ["mailto:", "mailto:help", "mailto:a@b c", 'MAILTO:a@b?x"y', "javascript:alert(1)", "help"]
)
def test_help_is_asked_for_at_an_address_that_cannot_run_a_script(text: str) -> None:
    assert config.load(relay_help_url="mailto:help@example.com").relay_help_url == "mailto:help@example.com"
    with pytest.raises(StartupError, match=r"^RELAY_HELP_URL: must "):
        config.load(relay_help_url=text)


@pytest.mark.parametrize("name", [*TEXTS, *KEYS_INSTEAD])
def test_a_line_ending_is_not_part_of_a_setting(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A variable whose value is read from a file often has one."""
    value = (TEXTS | KEYS_INSTEAD)[name]
    monkeypatch.setenv(name.upper(), value)
    meant = getattr(config.load(), name)
    assert meant != config.Settings.model_fields[name].default or name in DEFAULTS
    for end in ("\n", "\r\n", "\n\n"):
        for text in (value + end, *(() if name == "relay_jwt_secret" else (f" {value} {end}",))):
            monkeypatch.setenv(name.upper(), text)
            assert getattr(config.load(), name) == meant


DEFAULTS = ("relay_mongo_database", "relay_tasks_collection", "relay_host", "relay_jwt_algorithms")


def test_a_secret_keeps_its_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = f" \n{SECRET}  {SECRET}\t "
    monkeypatch.setenv("RELAY_JWT_SECRET", secret + "\r\n")
    read = config.load().relay_jwt_secret
    assert read is not None
    assert read.get_secret_value() == secret


@pytest.mark.parametrize(
    "name", ["RELAY_JWT_SECRET", "RELAY_JWT_ISSUER", "RELAY_ADMIN_PORT", "RELAY_MAPPING"]
)
def test_a_setting_that_is_only_a_line_ending_is_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "\n")
    assert getattr(config.load(), name.lower()) is None


def test_an_ipv6_address_may_be_written_as_in_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_HOST", "[::1]")
    assert config.load().relay_host == "::1"


@pytest.mark.parametrize("name", ["RELAY_PORT", "RELAY_ADMIN_PORT"])
@pytest.mark.parametrize("value", ["tcp://10.96.0.12:8080", "udp://10.96.0.12:53", "tcp://[fd00::1]:8080"])
def test_the_address_of_a_kubernetes_service_is_not_read_as_a_port(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Kubernetes sets these variables for Services that are named relay and relay-admin."""
    usual = getattr(config.load(), name.lower())
    monkeypatch.setenv(name, value)
    assert getattr(config.load(), name.lower()) == usual
    assert config.load(relay_port=9).relay_port == 9
    (warning,) = config.warnings()
    assert warning.startswith(f"{name} is not read")
    assert "enableServiceLinks: false" in warning
    assert "10.96" not in warning


def test_settings_never_show_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_JWT_SECRET", SECRET)
    monkeypatch.setenv("RELAY_MONGO_URL", "mongodb://user:hunter2@host/")
    shown = repr(config.load()) + str(config.load())
    assert SECRET not in shown
    assert "hunter2" not in shown
    monkeypatch.delenv("RELAY_JWT_SECRET")
    monkeypatch.setenv("RELAY_JWT_PUBLIC_KEY", private_pem("P-256"))
    assert private_pem("P-256")[30:60] not in repr(config.load()) + str(config.load())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(pem("RSA"), id="PEM"),
        pytest.param(" " + pem("RSA").replace("\n", "\r\n"), id="CRLF and a leading space"),
        pytest.param(pem("RSA").replace("\n", "\\n"), id="line ends written out"),
        pytest.param(pem("RSA").replace("-----", "---- "), id="other dashes"),
        pytest.param(private_pem("P-256"), id="private PEM"),
        pytest.param(pem("P-256").replace("PUBLIC KEY", "CERTIFICATE"), id="certificate"),
        *[
            pytest.param("".join(pem(name).splitlines()[1:-1]), id=f"{name} without its first and last line")
            for name in ("RSA", "P-256", "Ed25519")
        ],
        pytest.param("\n".join(pem("RSA").splitlines()[1:-1]) + "\n", id="in lines"),
        pytest.param(json.dumps(jwk("RSA")), id="JWK"),
        pytest.param('{"kty":"oct","k":""}' + " " * 40, id="empty secret as JWK"),
        pytest.param(jwks(jwk("P-256")).decode(), id="JWKS"),
        pytest.param("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVzZXJAaG9zdA user@host", id="SSH"),
    ],
)
def test_a_key_is_refused_as_a_secret(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """S7, S8: everyone may know a public key, so everyone could sign tokens with it."""
    monkeypatch.setenv("RELAY_JWT_SECRET", text)
    with pytest.raises(StartupError, match=r"^RELAY_JWT_SECRET: must be a random secret") as failure:
        config.load()
    assert text not in str(failure.value)


@pytest.mark.parametrize(
    "secret",
    ["f" * 64, "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80=", "begin the keys of the kingdom, 12345"],
)
def test_a_random_secret_is_not_mistaken_for_a_key(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("RELAY_JWT_SECRET", secret)
    assert config.load().relay_jwt_secret is not None


@pytest.mark.parametrize(
    ("given", "algorithms"),
    [
        ({"RELAY_JWT_SECRET": SECRET}, ("HS256",)),
        ({"RELAY_JWT_PUBLIC_KEY": "/etc/relay/key.pem"}, ("RS256", "ES256")),
        ({"RELAY_JWKS_URL": "https://id.example.com/jwks"}, ("RS256", "ES256")),
        ({"RELAY_JWKS_URL": "http://127.0.0.1:3000/jwks"}, ("RS256", "ES256")),
        ({"RELAY_JWKS_URL": "http://[::1]:3000/jwks"}, ("RS256", "ES256")),
        (
            {"RELAY_JWKS_URL": "http://localhost/jwks", "RELAY_JWT_ALGORITHMS": "PS256, EdDSA"},
            ("PS256", "EdDSA"),
        ),
    ],
)
def test_the_algorithms_follow_the_kind_of_key(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], algorithms: tuple[str, ...]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert config.load().relay_jwt_algorithms == algorithms


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"RELAY_JWT_SECRET": SECRET, "RELAY_JWT_PUBLIC_KEY": "hunter2"},
            "RELAY_JWT_PUBLIC_KEY: cannot be set together with RELAY_JWT_SECRET",
        ),
        (
            {"RELAY_JWT_SECRET": SECRET, "RELAY_JWKS_URL": "https://id.test/hunter2"},
            "RELAY_JWKS_URL: cannot be set together with RELAY_JWT_SECRET",
        ),
        (
            {"RELAY_JWT_PUBLIC_KEY": "hunter2", "RELAY_JWKS_URL": "https://id.test/hunter2"},
            "RELAY_JWKS_URL: cannot be set together with RELAY_JWT_PUBLIC_KEY",
        ),
        (
            {"RELAY_JWT_SECRET": SECRET, "RELAY_JWT_ALGORITHMS": "RS256"},
            "RELAY_JWT_ALGORITHMS: must name some of HS256, HS384, HS512 with RELAY_JWT_SECRET",
        ),
        (
            {"RELAY_JWKS_URL": "https://id.test/hunter2", "RELAY_JWT_ALGORITHMS": "HS256"},
            "RELAY_JWT_ALGORITHMS: must name some of RS256",
        ),
        (
            {"RELAY_JWT_SECRET": SECRET, "RELAY_JWT_ALGORITHMS": "HS256,HS512"},
            "RELAY_JWT_ALGORITHMS: must not name HS512 unless RELAY_JWT_SECRET has 64 bytes or more",
        ),
        (
            {"RELAY_JWT_SECRET": "\udcff" * 40},
            "RELAY_JWT_SECRET: must be UTF-8",
        ),
    ],
)
def test_keys_and_algorithms_that_do_not_match_are_reported(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], says: str
) -> None:
    """S8: there is one key, and its algorithms are of one family."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as failure:
        config.load()
    assert str(failure.value).startswith(says)
    assert "hunter2" not in str(failure.value)
    assert SECRET not in str(failure.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "there is nothing to sign a token with"),
        (
            {"RELAY_JWT_PUBLIC_KEY": "/etc/relay/key.pem"},
            "with RELAY_JWT_PUBLIC_KEY the relay can check tokens",
        ),
        ({"RELAY_JWKS_URL": "https://id.example.com/jwks"}, "with RELAY_JWKS_URL the relay can check tokens"),
    ],
)
def test_a_development_token_needs_the_secret(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], says: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(cli, ["token", "--sub", "alice"])
    assert isinstance(result.exception, StartupError)
    assert str(result.exception).startswith("RELAY_JWT_SECRET is not set: ")
    assert says in str(result.exception)


def test_the_name_of_every_setting_begins_with_relay_or_feature() -> None:
    names: Any = config.Settings.model_fields
    assert all(name.startswith(("relay_", "feature_")) for name in names)

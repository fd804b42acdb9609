"""The settings file: what its lines mean, what is refused, and which value counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import config, settings_file
from relay.errors import StartupError
from relay.settings_file import BadLine, parse

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file of this test."""
    monkeypatch.setenv("RELAY_SETTINGS_FILE", str(tmp_path / "relay.env"))
    return tmp_path / "relay.env"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("  A=1", "1"),
        ("a=1", "1"),
        ("A=", ""),
        ("A=1\r", "1"),
        ("A=1 \t", "1"),
        ("A=one two", "one two"),
        ("A=one#two", "one#two"),
        ("A=it's", "it's"),
        ("A=a=b", "a=b"),
        ("A='  $HOME # \" '", '  $HOME # " '),
        ("A=\"one # 'two'\" ", "one # 'two'"),
        ("A=''", ""),
        ("# A=2\n;\nA=1", None),
        ("A=1\nA=2", "2"),
    ],
)
def test_a_line_has_a_name_and_a_value(line: str, value: str | None) -> None:
    if value is None:
        with pytest.raises(BadLine, match="line 2 does not begin with a name"):
            parse(line)
    else:
        assert parse(f"\n# a comment\n{line}\n\n") == {"A": value}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("A", "does not begin with a name and ="),
        ("A hunter2", "does not begin"),
        ("A =hunter2", "does not begin"),
        ("export A=hunter2", "does not begin"),
        ("; A=hunter2", "does not begin"),
        ("A: hunter2", "does not begin"),
        ("1A=hunter2", "does not begin"),
        ("A= hunter2", "space behind"),
        ("A=hunter2\\", "\\"),
        ("A='hunter2\\n'", "\\"),
        ("A=$hunter2", "single quotes"),
        ('A="$hunter2"', "single quotes"),
        ('A="`hunter2`"', "single quotes"),
        ("A=hunter2 # secret", "# behind a space"),
        ("A='hunter2", "quotes that do not enclose"),
        ("A='hunter2' x", "quotes that do not enclose"),
        ("A='hunter2'x'", "quotes that do not enclose"),
        ('A="hunter2""', "quotes that do not enclose"),
        ("A=hunter2\x1b", "control character"),
        ("# hunter2\\", "comment that ends in"),
        ("RELAY_SETTINGS_FILE=hunter2", "only the environment"),
        ("relay_settings_file=hunter2", "only the environment"),
    ],
)
def test_what_systemd_and_compose_read_differently_is_refused_with_its_line(line: str, why: str) -> None:
    with pytest.raises(BadLine) as failure:
        parse(f"B=1\n\n{line}\nC=1\n")
    said = str(failure.value)
    assert said.startswith("line 3 ")
    assert why in said
    assert "hunter2" not in said


@given(st.text(st.characters(exclude_categories=["C"], exclude_characters="'\\\u2028"), max_size=60))
def test_single_quotes_enclose_any_value_but_a_quote_and_a_backslash(value: str) -> None:
    assert parse(f"A='{value}'\n") == {"A": value}


@given(st.text(max_size=200))
def test_any_text_has_values_or_a_line_that_is_named(text: str) -> None:
    try:
        found = parse(text)
    except BadLine as failure:
        assert str(failure).startswith("line ")
    else:
        assert all(name.isupper() or name.strip("_") == "" for name in found)


def test_the_example_of_all_settings_can_be_read() -> None:
    lines = (ROOT / "deploy" / "relay.env").read_text("utf-8").splitlines()
    text = "\n".join(line.removeprefix("#") if line.startswith("#RELAY_") else line for line in lines)
    text = text.replace("RELAY_SETTINGS_FILE=", "# ")
    assert parse(text)["RELAY_MAX_TASKS_PER_CONNECTION"] == "200"


def test_a_variable_of_the_environment_wins_over_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_MAX_CONNECTIONS_PER_USER", "7")
    monkeypatch.setenv("RELAY_JWT_ISSUER", " \n")  # counts as unset
    monkeypatch.setenv("RELAY_PORT", "tcp://10.0.0.1:8080")  # of Kubernetes
    file.write_text(
        "RELAY_MAX_CONNECTIONS_PER_USER=8\nRELAY_MAX_TASKS_PER_CONNECTION=9\nRELAY_JWT_ISSUER=them\n"
        "RELAY_PORT=1234\nRELAY_ALLOWED_ORIGINS=https://a.example.com, https://b.example.com\nRELAY_LOG_LEVEL=\n"
    )
    settings = config.load()
    assert (settings.relay_max_connections_per_user, settings.relay_max_tasks_per_connection) == (7, 9)
    assert (settings.relay_jwt_issuer, settings.relay_port) == ("them", 1234)
    assert settings.relay_allowed_origins == ("https://a.example.com", "https://b.example.com")
    sources = {
        name: config.source_of(settings, name)
        for name in ("relay_max_connections_per_user", "relay_port", "relay_jwt_issuer", "relay_log_level")
    }
    assert list(sources.values()) == ["environment", "file", "file", "default"]
    assert config.load(relay_port=4).relay_port == 4


def test_a_name_in_the_file_that_is_no_setting_is_warned_of(file: Path) -> None:
    file.write_text("RELAY_MAX_CONECTIONS=hunter2\nHTTP_PROXY=hunter2\n")
    first, second = config.warnings(config.load())
    assert first == "HTTP_PROXY in the settings file is not a setting of the relay, and is not read."
    assert second.startswith("RELAY_MAX_CONECTIONS in the settings file is not a setting")
    assert second.endswith("did you mean RELAY_MAX_CONNECTIONS?")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"RELAY_PORT=\xff", "not UTF-8"),
        (b"RELAY_PORT=1\nhunter2\n", "line 2 does not begin"),
        (b"#" * (settings_file.MAX_BYTES + 1), "larger than"),
    ],
)
def test_a_file_that_cannot_be_read_is_explained_in_one_sentence(
    file: Path, content: bytes | None, why: str
) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StartupError) as failure:
        config.load()
    said = str(failure.value)
    assert said.startswith("RELAY_SETTINGS_FILE: ")
    assert why in said
    assert "hunter2" not in said


def test_a_bad_value_in_the_file_is_named_and_a_secret_not_shown(file: Path) -> None:
    file.write_text("RELAY_PORT=eighty\nRELAY_JWT_SECRET=hunter2hunter2hunter2hunter2hunter2\n")
    with pytest.raises(StartupError, match=r'RELAY_PORT: .*, but is "eighty"'):
        config.load()
    file.write_text("RELAY_JWT_SECRET=hunter2\n")
    with pytest.raises(StartupError, match="RELAY_JWT_SECRET: must be at least 32 bytes") as failure:
        config.load()
    assert "hunter2" not in str(failure.value)


def test_the_file_may_name_the_file_of_a_secret_and_the_environment_wins_over_both(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secret := tmp_path / "jwt").write_text("of the secret's file, long enough\n")
    file.write_text(f"RELAY_JWT_SECRET_FILE={secret}\n")
    settings = config.load()
    assert settings.relay_jwt_secret is not None
    assert settings.relay_jwt_secret.get_secret_value() == "of the secret's file, long enough"
    assert config.source_of(settings, "relay_jwt_secret") == "file"
    assert config.warnings(settings) == []
    monkeypatch.setenv("RELAY_JWT_SECRET", "of the environment, and long enough")
    settings = config.load()
    assert settings.relay_jwt_secret is not None
    assert settings.relay_jwt_secret.get_secret_value() == "of the environment, and long enough"
    monkeypatch.delenv("RELAY_JWT_SECRET")
    monkeypatch.setenv("RELAY_JWT_SECRET_FILE", str(secret))
    file.write_text("RELAY_JWT_SECRET='of the settings file, and long enough'\n")
    settings = config.load()
    assert settings.relay_jwt_secret is not None
    assert settings.relay_jwt_secret.get_secret_value() == "of the secret's file, long enough"

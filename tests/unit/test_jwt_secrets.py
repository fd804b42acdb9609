"""Several secrets in RELAY_JWT_SECRET: what counts as one, and that a rotation signs nobody out."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st
from typer.testing import CliRunner

from relay import config, secret_files
from relay.auth.keys import MAX_TRIED, key_source
from relay.auth.tokens import Verifier, issue
from relay.cli.commands import cli
from relay.errors import Refused, StartupError
from relay.jwt_secrets import MAX_SECRETS, MIN_SECRET_BYTES, secrets_in, verifying

NEW, OLD, OLDER, FOREIGN = ("new" * 11, "old" * 11, "older" * 7, "foreign" * 5)
PHRASE = "my secret with spaces in it, long enough"
OTHER_PHRASE = "an other secret with spaces, long enough"
COMMENT = "# the one before, valid until the first of May"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(secret_files.variable(name), raising=False)


def accepts(verifier: Verifier, secret: str, algorithm: str = "HS256") -> bool:
    try:
        token = issue(secret, algorithm, {"sub": "alice"}, ttl_s=600, now=verifier._clock())
        return verifier.verify(token).sub == "alice"
    except Refused as refused:
        assert refused.reason == "unauthenticated"
        return False


def verifier() -> Verifier:
    return Verifier(key_source(config.load()))


@pytest.mark.parametrize("between", [" ", "  \t", "\n", "\r\n", "\n\n"])
def test_tokens_of_each_secret_are_valid_and_no_others(monkeypatch: pytest.MonkeyPatch, between: str) -> None:
    monkeypatch.setenv("RELAY_JWT_SECRET", f"{NEW}{between}{OLD}{between}{OLDER}")
    made = verifier()
    assert [accepts(made, one) for one in (NEW, OLD, OLDER, FOREIGN)] == [True, True, True, False]


def test_a_development_token_is_signed_with_the_first_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_JWT_SECRET", f"{NEW} {OLD}")
    printed = CliRunner().invoke(cli, ["token", "--sub", "alice"]).output.strip()
    assert jwt.decode(printed, NEW, algorithms=["HS256"])["sub"] == "alice"


def test_a_development_token_that_the_relay_would_refuse_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_JWT_SECRET", NEW)
    monkeypatch.setenv("RELAY_JWT_MAX_AGE_S", "900")
    refused = CliRunner().invoke(cli, ["token", "--sub", "alice"])
    assert refused.exit_code == 2
    assert "RELAY_JWT_MAX_AGE_S allows 900s at most" in refused.output
    made = CliRunner().invoke(cli, ["token", "--sub", "alice", "--ttl", "15m"]).output.strip()
    assert verifier().verify(made).sub == "alice"


def test_each_line_of_a_file_is_a_secret_that_may_have_blanks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "jwt"
    file.write_text(f"{PHRASE}\n{OTHER_PHRASE} \n\n")
    monkeypatch.setenv("RELAY_JWT_SECRET_FILE", str(file))
    made = verifier()
    assert [accepts(made, one) for one in (PHRASE, f"{OTHER_PHRASE} ", OTHER_PHRASE)] == [True, True, False]


def test_a_comment_in_a_file_of_secrets_is_refused_because_everybody_could_guess_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "jwt"
    file.write_text(f"{NEW}\n{COMMENT}\n{OLD}\n")
    monkeypatch.setenv("RELAY_JWT_SECRET_FILE", str(file))
    with pytest.raises(StartupError) as failure:
        config.load()
    assert str(failure.value) == "RELAY_JWT_SECRET_FILE: must have no comment (#) among its secrets."


def test_a_short_line_of_a_file_is_refused_and_not_taken_for_a_part_of_one_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "jwt"
    file.write_text(f"{NEW}\nhunter2\n")
    monkeypatch.setenv("RELAY_JWT_SECRET_FILE", str(file))
    with pytest.raises(StartupError) as failure:
        config.load()
    assert str(failure.value) == (
        "RELAY_JWT_SECRET_FILE: must have one secret of at least 32 bytes in each line, but the second is shorter."
    )


@pytest.mark.parametrize(
    "secret",
    [PHRASE, f"{NEW} {PHRASE}", f"{NEW}\n{'x' * 24}", f"{NEW}\xa0{OLD}", f" {NEW} ", f"# {PHRASE}"],
    ids=[
        "a phrase",
        "a phrase with a long word",
        "64 bytes in Base64",
        "a blank that is none",
        "blanks around",
        "a number sign",
    ],
)
def test_one_secret_with_blanks_stays_one_secret(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("RELAY_JWT_SECRET", secret)
    assert secrets_in(secret) == (secret,)
    made = verifier()
    assert accepts(made, secret)
    assert not any(accepts(made, word) for word in secret.split() if len(word) >= MIN_SECRET_BYTES)


LONG = st.text(st.sampled_from("ab \t\n\r\xa0ü"), min_size=1, max_size=150)


@given_any(LONG)
def test_whoever_signs_with_the_whole_text_is_never_signed_out(text: str) -> None:
    """It may be meant as one secret, as each was before there could be several."""
    assert verifying(text)[-1] == text or text in verifying(text)
    assert all(len(one.encode()) >= MIN_SECRET_BYTES for one in secrets_in(text) if one != text)


def test_the_verifier_tries_every_secret_that_the_settings_accept() -> None:
    assert len(verifying(" ".join((NEW, OLD, OLDER)))) == MAX_SECRETS + 1 == MAX_TRIED


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"RELAY_JWT_SECRET": " ".join([NEW, OLD, OLDER, FOREIGN])},
            "must be at most 3 secrets, but contains 4",
        ),
        ({"RELAY_JWT_SECRET": f"{NEW} {OLD}\n{OLDER}"}, "either by lines or by blanks"),
        ({"RELAY_JWT_SECRET": f"{NEW}\n {COMMENT}"}, "must have no comment (#) among its secrets"),
        ({"RELAY_JWT_SECRET": f"{COMMENT.replace(' ', '-')} {NEW}"}, "must have no comment (#) among"),
        (
            {"RELAY_JWT_SECRET": f"{NEW * 2} {OLD}", "RELAY_JWT_ALGORITHMS": "HS512"},
            "must not name HS512 unless the second secret of RELAY_JWT_SECRET has 64 bytes or more",
        ),
    ],
)
def test_several_secrets_that_cannot_be_used_are_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], says: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as failure:
        config.load()
    assert says in str(failure.value)
    assert not any(secret in str(failure.value) for secret in (NEW, OLD, OLDER, FOREIGN))


def test_a_public_key_among_several_secrets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    body = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="  # of Ed25519
    monkeypatch.setenv("RELAY_JWT_SECRET", f"{NEW} {body}")
    with pytest.raises(StartupError, match="looks like a key"):
        config.load()

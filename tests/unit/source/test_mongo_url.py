"""`RELAY_MONGO_URL`: which options take effect, which are ignored or refused, and that no secret in it is shown."""

from __future__ import annotations

import string
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pymongo.common import URI_OPTIONS_VALIDATOR_MAP
from pymongo.read_preferences import Nearest, Primary, PrimaryPreferred, Secondary, SecondaryPreferred
from support.mongo_url_options import CONTRARY_VALUES

from relay.config import Settings, load
from relay.errors import StartupError
from relay.source import client
from relay.source.client import (
    FOREIGN,
    KEPT,
    MEANINGLESS,
    OWN,
    REFUSED,
    address_of,
    client_of,
    hosts_of,
    names_of,
    warning_of,
)
from relay.source.interview import seeds_of, shown

SENSIBLE = {
    "appName": ("mine", "tests"),
    "compressors": ("zlib", "zlib"),
    "localThresholdMS": ("7", "7"),
    "maxIdleTimeMS": ("60000", "60000"),
    "serverMonitoringMode": ("poll", "poll"),
    "directConnection": ("true", "true"),
    "readPreference": ("nearest", "nearest"),
    "replicaSet": ("rs0", "rs0"),
}


def settings(options: str = "", *, url: str = "mongodb://localhost/") -> Settings:
    return load(relay_mongo_url=url + ("?" if options else "") + options)


def effect(given: Settings) -> dict[str, Any]:
    """Return everything that can be read back from the client that the driver makes for a URL."""
    options = client_of(given).options
    names = [name for name in dir(options) if not name.startswith("_")]
    found: dict[str, Any] = {name: getattr(options, name) for name in names}
    pool = found.pop("pool_options")
    found.pop("server_selector")
    found |= {f"pool {name}": getattr(pool, name) for name in dir(pool) if not name.startswith("_")}
    found["compressors"] = pool._compression_settings.compressors
    return {name: repr(value) for name, value in found.items() if "object at" not in repr(value)}


def test_every_option_of_the_driver_is_classified() -> None:
    decided = [name.lower() for name in (*KEPT, *OWN, *MEANINGLESS, *FOREIGN, *REFUSED)]
    assert len(decided) == len(set(decided))
    assert set(URI_OPTIONS_VALIDATOR_MAP) <= set(decided)
    assert {*CONTRARY_VALUES} == {*OWN, *MEANINGLESS, *FOREIGN}


@pytest.mark.parametrize("name", CONTRARY_VALUES)
@pytest.mark.parametrize("spelt", [str, str.lower, str.upper])
def test_an_option_that_the_relay_sets_itself_is_ignored_with_a_warning(name: str, spelt: Any) -> None:
    given = settings(f"{spelt(name)}={CONTRARY_VALUES[name]}&replicaSet=rs0")
    assert effect(given) == effect(settings("replicaSet=rs0"))
    warning = warning_of(given)
    if name in MEANINGLESS:
        assert warning is None
    else:
        assert warning is not None
        assert warning.startswith(f"RELAY_MONGO_URL: {name} ")
        assert "hunter2" not in warning


@pytest.mark.parametrize("name", SENSIBLE)
def test_a_connection_option_takes_effect_without_a_warning(name: str) -> None:
    given = settings(f"{name.lower()}={SENSIBLE[name][0]}")
    assert effect(given) != effect(settings())
    assert warning_of(given) is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", Primary()),
        ("readPreference=primary", Primary()),
        ("readPreference=SECONDARYpreferred", SecondaryPreferred(max_staleness=90)),
        ("readPreference=primaryPreferred", PrimaryPreferred(max_staleness=90)),
        ("readPreference=nearest&maxStalenessSeconds=120", Nearest(max_staleness=120)),
        (
            "readPreference=secondary&readPreferenceTags=dc:ny,use:a%20b&readPreferenceTags=dc:la&readpreferencetags=",
            Secondary([{"dc": "ny", "use": "a b"}, {"dc": "la"}, {}], max_staleness=90),
        ),
    ],
)
def test_the_read_preference_is_that_of_the_url_with_a_bound_on_staleness(
    options: str, expected: Any
) -> None:
    given = settings(options)
    assert client_of(given).read_preference == expected
    assert warning_of(given) is None


def test_one_warning_names_all_ignored_options_and_counts_unknown_ones() -> None:
    warning = warning_of(settings("timeoutMS=1&hunter2=x&maxPoolSize=1&retryReads=false&w=0&other=1"))
    assert warning == (
        "RELAY_MONGO_URL: timeoutMS, maxPoolSize, retryReads are the relay's own business and are ignored; "
        "2 options of it are not known and are ignored."
    )


@pytest.mark.parametrize("names", ["snappy", "zstd,snappy", "nonesuch"])
def test_a_missing_compressor_is_reported(names: str) -> None:
    assert "compressors names" in (warning_of(settings(f"compressors={names}")) or "")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgres://u:hunter2@x", "not a MongoDB connection string: it begins with"),
        ("mongodb://", "not a MongoDB connection string"),
        ("mongodb://u:hun@ter2@h/", "string: in its user or its password, @ is written as %40."),
        ("mongodb://u:hunter2%@h/", "in its user or its password, % is written as %25."),
        ("mongodb://u:hunter2%4@h/", "in its user or its password, % is written as %25."),
        ("mongodb://u:hun:t@er2@a,b/x?tls=true", "password, : is written as %3A and @ as %40."),
        ("mongodb://u:hun/ter2@h/", "%2F"),
        ("mongodb://u:12?hunter2=3@h/", "%3F"),
        ("mongodb://u:hunter2:3@h/", "in its user or its password, : is written as %3A."),
        ("mongodb://u@h/", "a user without a password"),
        ("mongodb://h:99999/", "a port is a number from 1 to 65535"),
        ("mongodb://h/?replicaSet", "name=value"),
        ("mongodb://h/?replicaSet=a=b", "name=value"),
        ("mongodb://h/?tls=true;appName=x&replicaSet=y", "separated by & or by ;"),
        ("mongodb://h/?loadBalanced=true", "loadBalanced"),
        ("mongodb://h/?tls=maybe", "tls has a value"),
        ("mongodb://h/?authMechanism=hunter2", "authMechanism has a value"),
        ("mongodb://h/?authMechanismProperties=hunter2", "authMechanismProperties has a value"),
        ("mongodb://h/?authSource=", "authSource has a value"),
        ("mongodb://h/?authMechanism=GSSAPI", "needs a user"),
        ("mongodb://:hunter2@h/", "the user before its @ is empty"),
        ("mongodb://@h/", "the user before its @ is empty"),
        ("mongodb://:hunter2@h/?authMechanism=SCRAM-SHA-1", "the user before its @ is empty"),
        ("mongodb://h/?authMechanism=MONGODB-X509", "needs tls=true"),
        ("mongodb://h/?authMechanism=MONGODB-OIDC", "ENVIRONMENT"),
        ("mongodb://h/?tls=true&ssl=false", "contradict each other"),
        ("mongodb://h/?tlsInsecure=true&tlsAllowInvalidHostnames=true", "contradict each other"),
        ("mongodb://a,b/?directConnection=true", "contradict each other"),
        ("mongodb://h/?srvMaxHosts=1", "only for mongodb+srv://"),
        ("mongodb+srv://a.example.com:27017/", "one host without a port"),
        (
            "mongodb://h/?readPreference=hunter2",
            "readPreference is one of primary, primaryPreferred, secondary,",
        ),
        ("mongodb://h/?readPreference=", "readPreference is one of"),
        (
            "mongodb://h/?readPreferenceTags=dc:hunter2",
            "readPreferenceTags needs a readPreference other than",
        ),
        (
            "mongodb://h/?readPreference=primary&maxStalenessSeconds=120",
            "maxStalenessSeconds needs a readPref",
        ),
        ("mongodb://h/?readPreference=nearest&maxStalenessSeconds=89", "maxStalenessSeconds is at least 90"),
        ("mongodb://h/?readPreference=nearest&maxStalenessSeconds=-1", "maxStalenessSeconds is at least 90"),
        ("mongodb://h/?readPreference=nearest&maxStalenessSeconds=x", "maxStalenessSeconds has a value"),
        ("mongodb://h/?readPreference=nearest&readPreferenceTags=hunter2", "readPreferenceTags has a value"),
    ],
)
def test_an_unusable_url_is_refused_in_one_sentence(url: str, says: str) -> None:
    with pytest.raises(StartupError, match=r"^RELAY_MONGO_URL") as refused:
        client_of(settings(url=url))
    assert says in str(refused.value)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "ter2" not in str(refused.value)


@pytest.mark.parametrize("name", ["tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile"])
@pytest.mark.parametrize("tls", ["tls=true&", "", "ssl=true&"])
def test_a_missing_or_invalid_file_is_reported_in_one_sentence(name: str, tls: str, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    for path, says in (
        (tmp_path / "missing.pem", "there is no such file"),
        (tmp_path, "it is a directory"),
        (junk, f"the file of {name} is not"),
    ):
        with pytest.raises(StartupError) as refused:
            client_of(settings(f"{tls}{name}={path}"))
        assert says in str(refused.value)
        assert name in str(refused.value)


def test_an_srv_url_without_dnspython_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "dns" or name.startswith("dns.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dns", None)
    with pytest.raises(StartupError, match="dnspython"):
        client_of(settings(url="mongodb+srv://cluster.example.com/"))


@pytest.mark.parametrize(
    "name", ["my.db", "a b", "a/b", "a\\b", 'a"b', "a$", "a\0", "x" * 64, "admin", "local"]
)
def test_an_invalid_database_name_is_refused(name: str) -> None:
    with pytest.raises(StartupError, match=r"^RELAY_MONGO_DATABASE: ") as refused:
        names_of(load(relay_mongo_database=name))
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["$x", "a$b", "system.x", "system.buckets.x", ".x", "a\0b", "x" * 256])
def test_an_invalid_collection_name_is_refused(name: str) -> None:
    with pytest.raises(StartupError, match=r"^RELAY_TASKS_COLLECTION: ") as refused:
        names_of(load(relay_tasks_collection=name))
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["tasks", "a.b", "system", "systems.x", "täsks", "a b", "x."])
def test_a_collection_with_an_unusual_name_is_accepted(name: str) -> None:
    assert names_of(load(relay_tasks_collection=name)) == ("app", name)


OPTIONS = st.sampled_from(["", "timeoutMS=1", "nonesuch=1", "tls=1", "authMechanism=x", "replicaSet"])


def everything_shown(url: str) -> str:
    """Return everything the relay may print about this URL before a server answers and while none does."""
    texts = []
    try:
        given = load(relay_mongo_url=url)
        texts = [hosts_of(given), repr(given)]
        texts.append(warning_of(given) or "")
        # The name of a server that does not answer is printed.
        texts += map(shown, seeds_of(address_of(given)))
        texts += map(shown, client_of(given).topology_description.server_descriptions())
    except StartupError as refused:
        texts.append(str(refused))
    return "\n".join(texts)


@given(
    st.text("ab1:/?#[]@%&=;,. ", max_size=12),
    st.text("ab1:/?#[]@%&=;,. ", max_size=12),
    OPTIONS,
)
def test_no_message_contains_any_part_of_a_password(before: str, after: str, options: str) -> None:
    assert "hunter2" not in everything_shown(
        f"mongodb://user:{before}hunter2{after}@host.example.com/?{options}"
    )


# Text that is printed for any URL, and may contain the letters of a password by chance.
ALWAYS_SHOWN = (
    Path(client.__file__).read_text("utf-8") + everything_shown("mongodb://user:x@host.example.com/")
).casefold()


@given(
    st.text(
        st.sampled_from(string.ascii_letters + string.digits + string.punctuation)
        | st.characters().filter(str.isprintable),
        min_size=3,
        max_size=24,
    ),
    OPTIONS,
)
@example("2024?hunter", "replicaSet=rs0")  # the driver takes `user:2024` as the host
@example("2024?hunter=1", "")
@example("2024?appName=x", "")
@example("/2024?hunter", "")
@example("?2024/hunter", "")
@example("2024,2025?hunter", "")
def test_no_message_contains_three_characters_of_an_unescaped_password(password: str, options: str) -> None:
    text = everything_shown(f"mongodb://user:{password}@host.example.com/?{options}").casefold()
    runs = {password[at : at + 3].casefold() for at in range(len(password) - 2)}
    assert [run for run in runs if run in text and run not in ALWAYS_SHOWN] == []


@pytest.mark.parametrize("place", ["{}@h", "user:{}@h", "{}:secret@h"])
@pytest.mark.parametrize(
    "part", ["2024?hunter", "p?secret=1", "p?appName=x", "?", "p?x&y", "p?a=b;c=d", "p?a=b=c"]
)
@pytest.mark.parametrize("options", ["", "/", "/?replicaSet=rs0"])
def test_an_unescaped_question_mark_in_credentials_is_reported(place: str, part: str, options: str) -> None:
    with pytest.raises(StartupError, match="%3F") as refused:
        address_of(settings(url="mongodb://" + place.format(part) + options))
    assert "hunter" not in str(refused.value)
    assert "2024" not in str(refused.value)


@given(st.text(min_size=1).filter(lambda text: not set(text) & set("@/?,:[]")))
@example("h\x1b[31m\n")
def test_hosts_are_shown_without_terminal_control_characters(host: str) -> None:
    assert hosts_of(load(relay_mongo_url=f"mongodb://{host}:1/")).isprintable()


def test_an_escaped_at_sign_in_an_option_is_part_of_its_value() -> None:
    assert address_of(settings("appName=a%40b")).options == {"appName": "a%40b"}


@pytest.mark.parametrize(
    ("options", "uses"),
    [
        ("", False),
        ("tls=true", True),
        ("ssl=true", True),
        ("tls=false", False),
        ("tlsInsecure=true", False),
        ("tlsAllowInvalidCertificates=true", False),
        ("tlsAllowInvalidCertificates=false", True),
        ("tlsCertificateKeyFilePassword=x", True),
    ],
)
def test_the_tls_option_is_interpreted_as_by_the_driver(options: str, uses: bool) -> None:
    given = settings(options)
    assert address_of(given).uses_tls is uses
    assert (client_of(given).options.pool_options._ssl_context is not None) is uses

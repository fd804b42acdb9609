"""Databases that cannot be followed, each a real one: `serve`, `check` and `tail --direct` say the same of each,
`serve` ends where no waiting helps, and says why it waits where it may."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from bson.errors import InvalidBSON
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from replicaset import Node, ReplicaSet
from support.certificates import Authority
from support.command_findings import sentences_about
from support.relay_fixture import SOON_S, settings_for

from relay.app import Relay
from relay.cli.demo import mongod as embedded
from relay.source.client import client_of
from relay.source.reach import reach

LASTING, PASSING = True, False

# The driver leaves a socket to the garbage collector whose connecting was cancelled halfway, as it is when a client
# is closed while it looks for its servers.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)


def expect(url: str, *parts: str, lasting: bool, **given: str) -> None:
    """All three say one sentence, in which these parts are."""
    said = sentences_about(url, **given)
    for part in parts:
        assert part in said.serve
    assert said.keeps_trying is not lasting
    assert said.serve == said.tail
    assert said.serve.casefold() == said.check.casefold()


@pytest.fixture(scope="module")
def replica_set() -> Iterator[ReplicaSet]:
    """A primary, a hidden member and an arbiter, and in the database `app` one collection of each kind."""
    with ReplicaSet(members=3, arbiter=True) as members:
        with members.primary().client() as client:
            config = client.admin.command("replSetGetConfig")["config"]
            config["members"][1] |= {"hidden": True, "priority": 0}
            config["version"] += 1
            client.admin.command("replSetReconfig", config)
            client.app.create_collection("tasks")
            client.app.create_collection("view", viewOn="tasks")
            client.app.create_collection("series", timeseries={"timeField": "at"})
            client.app.create_collection("capped", capped=True, size=4096)
        _until_hidden(members.members[1])
        yield members


def _until_hidden(node: Node) -> None:
    deadline = time.monotonic() + SOON_S
    while True:
        with suppress(PyMongoError), node.client() as client:
            hello = client.admin.command("hello")
            if hello.get("hidden") and hello.get("secondary"):
                return
        assert time.monotonic() < deadline, "the member was not hidden"


def url_of(node: Node, options: str = "directConnection=true", user: str = "") -> str:
    return f"mongodb://{user}{node.host}/?{options}"


@pytest.mark.parametrize(
    ("collection", "says"),
    [
        ("view", "app.view is a view"),
        ("series", "app.series is a time series"),
        ("capped", "a capped collection"),
    ],
)
def test_a_collection_without_a_stream_or_moments(
    replica_set: ReplicaSet, collection: str, says: str
) -> None:
    expect(replica_set.url, says, lasting=LASTING, collection=collection)


@pytest.mark.parametrize(("member", "says"), [(1, "a hidden member"), (2, "an arbiter")])
def test_a_member_that_serves_nobody(replica_set: ReplicaSet, member: int, says: str) -> None:
    expect(url_of(replica_set.members[member]), says, lasting=LASTING)


@pytest.mark.parametrize("options", ["replicaSet=other", "replicaSet=other&directConnection=true"])
def test_another_name_of_the_replica_set(replica_set: ReplicaSet, options: str) -> None:
    expect(url_of(replica_set.members[0], options), "called rs0", "replicaSet=rs0", lasting=LASTING)


def test_another_name_in_a_url_of_all_members(replica_set: ReplicaSet) -> None:
    expect(replica_set.url.replace("rs0", "other"), "called rs0", lasting=LASTING)


@pytest.mark.parametrize(
    ("user", "options", "says"),
    [
        ("", "authMechanism=MONGODB-AWS", "pip install 'pymongo[aws]'"),
        ("ada%40EXAMPLE.COM@", "authMechanism=GSSAPI", "pip install 'pymongo[gssapi]'"),
        ("ada:hunter2@", "authMechanism=PLAIN", "does not offer the authMechanism"),
        ("ada:hunter2@", "replicaSet=rs0", "authSource="),
    ],
)
def test_an_authentication_that_cannot_be(
    replica_set: ReplicaSet, user: str, options: str, says: str
) -> None:
    expect(url_of(replica_set.members[0], options, user), says, lasting=LASTING)


def test_tls_that_the_server_does_not_speak(replica_set: ReplicaSet) -> None:
    options = "replicaSet=rs0&tls=true"
    expect(url_of(replica_set.members[0], options), "answers without TLS", lasting=LASTING)


def test_a_set_whose_primary_is_away(replica_set: ReplicaSet) -> None:
    replica_set.members[0].kill()
    try:
        expect(replica_set.url, "takes part as its primary", "refuses the connection", lasting=PASSING)
    finally:
        replica_set.members[0].start()
        replica_set.primary()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def with_tls(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A member that takes nothing but TLS."""
    files = ("--tlsCertificateKeyFile", str(authority.issue("server")), "--tlsCAFile", str(authority.file))
    options = ("--tlsMode", "requireTLS", *files, "--tlsAllowConnectionsWithoutCertificates")
    node = Node(tmp_path_factory.mktemp("tls") / "node", *options)
    node.start()
    _until_it_listens(node)
    try:
        yield node
    finally:
        node.kill()


def _until_it_listens(node: Node) -> None:
    deadline = time.monotonic() + SOON_S
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", node.port), timeout=1):
            return
        assert time.monotonic() < deadline, "mongod does not listen"


def test_a_server_that_wants_tls(with_tls: Node) -> None:
    expect(url_of(with_tls, "replicaSet=rs0"), "wants TLS", "tls=true", lasting=LASTING)
    expect(url_of(with_tls), "wants TLS", lasting=LASTING)


def test_a_certificate_that_nobody_known_has_signed(with_tls: Node, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    for options in ("tls=true", f"tls=true&tlsCAFile={stranger.file}"):
        expect(url_of(with_tls, options), "cannot be verified", "tlsCAFile", lasting=LASTING)


def test_a_certificate_for_another_name(with_tls: Node, authority: Authority) -> None:
    url = url_of(with_tls, f"tls=true&tlsCAFile={authority.file}").replace("127.0.0.1", "localhost")
    expect(url, "it is for another name", lasting=LASTING)


def test_a_certificate_that_has_expired(authority: Authority) -> None:
    """mongod does not start with one, but goes on with one that expires meanwhile."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("expired", days=-1))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_shake_hands, args=(listening, context), daemon=True).start()
        url = f"mongodb://127.0.0.1:{listening.getsockname()[1]}/?tls=true&tlsCAFile={authority.file}"
        expect(url, "it has expired", lasting=LASTING)
        listening.shutdown(socket.SHUT_RDWR)


def _shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    """With whoever comes, until nobody can."""
    with suppress(OSError):
        while True:
            connection = listening.accept()[0]
            with suppress(OSError), context.wrap_socket(connection, server_side=True):
                pass


def test_a_certificate_of_ours_that_the_server_does_not_know(
    with_tls: Node, authority: Authority, tmp_path: Path
) -> None:
    ours = Authority(tmp_path, "stranger").issue("ours")
    options = f"directConnection=true&tls=true&tlsCAFile={authority.file}&tlsCertificateKeyFile={ours}"
    expect(url_of(with_tls, options), "another client certificate", lasting=PASSING)


@pytest.mark.parametrize("options", ["replicaSet=rs0", "directConnection=true", "appName=x"])
def test_a_set_that_was_never_set_up(tmp_path: Path, options: str) -> None:
    node = Node(tmp_path / "node")
    node.start()
    try:
        _until_it_listens(node)
        expect(url_of(node, options), "never set up", "rs.initiate()", lasting=PASSING)
    finally:
        node.kill()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Node, MongoClient[dict[str, Any]]]]:
    """A set of one that asks who connects, and a client that may do everything."""
    key = tmp_path / "key"
    key.write_text("c2VjcmV0" * 4)
    key.chmod(0o600)
    node = Node(tmp_path / "node", "--auth", "--keyFile", str(key))
    node.start()
    try:
        _until_it_listens(node)
        with node.client() as client:
            member = {"_id": 0, "host": node.host}
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
            deadline = time.monotonic() + SOON_S
            while not node.is_primary():
                assert time.monotonic() < deadline
            root = [{"role": "root", "db": "admin"}]
            with suppress(OperationFailure):  # not yet the primary for writes
                client.admin.command("createUser", "root", pwd="root", roles=root)
        with MongoClient[dict[str, Any]](url_of(node, user="root:root@")) as client:
            yield node, client
    finally:
        node.kill()


def test_wrong_credentials_missing_rights_and_no_user_are_told_apart(
    guarded: tuple[Node, MongoClient[dict[str, Any]]],
) -> None:
    node, root = guarded
    collection = {"db": "app", "collection": "tasks"}
    for action in ("find", "changeStream"):
        privileges = [{"resource": collection, "actions": [action]}]
        root.app.command("createRole", action, privileges=privileges, roles=[])
        root.app.command("createUser", action, pwd="hunter2", roles=[action])
    here = "directConnection=true&authSource=app"
    expect(url_of(node, here, "find:wrong@"), "does not accept the user or the password", lasting=LASTING)
    expect(url_of(node, user="find:hunter2@"), "authSource=", lasting=LASTING)  # of another database
    expect(url_of(node, here, "find:hunter2@"), "may not open a change stream of app.tasks", lasting=LASTING)
    expect(url_of(node), "names no user", lasting=LASTING)
    said = sentences_about(url_of(node, here, "changeStream:hunter2@"))
    assert "may not read a moment of the past of app.tasks" in said.serve


def test_nobody_who_listens_and_a_name_that_nobody_knows() -> None:
    port = embedded.free_port()
    expect(f"mongodb://u:hunter2@127.0.0.1:{port}/?replicaSet=rs0", "refuses the connection", lasting=PASSING)
    expect("mongodb://no-such-host.invalid/?replicaSet=rs0", "is a name nobody knows", lasting=PASSING)
    expect("mongodb+srv://no-such-host.example.invalid/", "mongodb+srv://", "DNS", lasting=PASSING)


def test_a_server_that_never_says_a_word() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mongodb://127.0.0.1:{silent.getsockname()[1]}/?replicaSet=rs0"
        expect(url, "does not answer in time", lasting=PASSING)


def closes(connection: socket.socket) -> None:
    """Says nothing."""


def closes_when_asked(connection: socket.socket) -> None:
    connection.recv(999)


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answers_http(connection: socket.socket) -> None:
    connection.recv(999)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def greets(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
    connection.recv(999)


def answers_at_random(connection: socket.socket) -> None:
    connection.recv(999)
    connection.sendall(random.randbytes(2000))
    connection.recv(999)


def answers_with_an_absurd_length(connection: socket.socket) -> None:
    connection.recv(999)
    connection.sendall(b"\xff\xff\xff\x7f" * 8)
    connection.recv(999)


def answers_half(connection: socket.socket) -> None:
    connection.recv(999)
    connection.sendall(struct.pack("<iiii", 100, 1, 1, 2013) + bytes(5))


def answers_no_document(connection: socket.socket) -> None:
    asked = connection.recv(999)
    reply = bytes(5) + b"\xff\xff\xff\x7f"
    connection.sendall(
        struct.pack("<iiii", 16 + len(reply), 1, *struct.unpack_from("<i", asked, 4), 2013) + reply
    )


STRANGERS = (
    *(closes, closes_when_asked, resets, answers_http, greets, answers_at_random),
    *(answers_with_an_absurd_length, answers_half, answers_no_document),
)


@contextmanager
def serving_each(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Answers whoever connects in this way, and closes; the port."""

    def converse(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            answer(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=converse, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_something_else_than_mongodb(stranger: Callable[[socket.socket], None]) -> None:
    with serving_each(stranger) as port:
        for options in ("", "replicaSet=rs0", "directConnection=true"):
            url = f"mongodb://u:hunter2@127.0.0.1:{port}/?{options}"
            expect(url, "does not answer as MongoDB does", lasting=PASSING)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_something_else_than_mongodb_where_tls_is_asked_for(
    stranger: Callable[[socket.socket], None],
) -> None:
    with serving_each(stranger) as port:
        expect(f"mongodb://127.0.0.1:{port}/?tls=true", "Nothing answers: ", lasting=PASSING)


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_something_else_than_mongodb_is_known_before_a_primary_is_waited_for(
    stranger: Callable[[socket.socket], None],
) -> None:
    class Asked(AssertionError):
        pass

    class Client:
        """Looks for a primary for as long as it may, and finds none."""

        def __getattr__(self, name: str) -> Any:
            raise Asked(name)

    with serving_each(stranger) as port:
        found = await reach(settings_for(f"mongodb://127.0.0.1:{port}/", "app"), cast(Any, Client()))
        assert "does not answer as MongoDB does" in str(found)


@pytest.mark.parametrize(
    ("hosts", "says"),
    [
        ("%2Ftmp%2Fno-such-directory%2Fmongodb.sock", "is a socket that is not there"),
        (f"%2Ftmp%2F{'x' * 120}.sock", "is a socket that is not there"),
        ("no..such.host", "is a name nobody knows"),
        (f"{'x' * 64}.example.com", "is a name nobody knows"),
        ("h\x1b[31m:1", "is a name nobody knows"),
        ("255.255.255.255", "cannot be reached from here"),
    ],
)
def test_hosts_that_cannot_be_reached(hosts: str, says: str) -> None:
    expect(f"mongodb://u:hunter2@{hosts}/?replicaSet=rs0", says, lasting=PASSING)


async def test_a_server_whose_later_answers_are_no_bson(replica_set: ReplicaSet) -> None:
    """As of an imitation of MongoDB; the driver's error for it is none of its own."""

    class Admin:
        async def command(self, *_: object) -> None:
            raise InvalidBSON("hunter2")

    settings = settings_for(replica_set.url, "app")
    async with client_of(settings) as client:
        cast(Any, client).admin = Admin()
        found = await reach(settings, client)
    assert "MongoDB does not answer (InvalidBSON)" in str(found)


def test_a_password_that_mongodb_cannot_have(replica_set: ReplicaSet) -> None:
    for part in ("ada:%07hunter2@", "ada:hunter2%F0%9F%98%80@", "ada:%E2%80%8Ehunter2@"):
        url = url_of(replica_set.members[0], "authMechanism=SCRAM-SHA-256", part)
        expect(url, "a character that MongoDB takes in none", lasting=LASTING)


def test_a_certificate_that_is_no_users(with_tls: Node, authority: Authority) -> None:
    files = f"tlsCAFile={authority.file}&tlsCertificateKeyFile={authority.issue('nobody')}"
    options = f"directConnection=true&tls=true&{files}&authMechanism=MONGODB-X509"
    with MongoClient[dict[str, Any]](url_of(with_tls, f"directConnection=true&tls=true&{files}")) as client:
        config = {"_id": "rs0", "members": [{"_id": 0, "host": with_tls.host}]}
        client.admin.command("replSetInitiate", config)
        deadline = time.monotonic() + SOON_S
        while not client.admin.command("hello")["isWritablePrimary"]:
            assert time.monotonic() < deadline
    expect(url_of(with_tls, options), "authMechanism=MONGODB-X509", "$external", lasting=LASTING)


@pytest.mark.parametrize(
    ("options", "given", "says"),
    [
        ("authMechanism=MONGODB-X509", {}, "needs tls=true"),
        ("authMechanism=MONGODB-X509&tls=true", {}, "needs tls=true, and the user's certificate"),
        ("tls=true&tlsCAFile=/nowhere.pem", {}, "tlsCAFile cannot be read: there is no such file"),
        ("tls=true&tlsCertificateKeyFile={junk}", {}, "the file of tlsCertificateKeyFile is not"),
        ("tls=true&tlsCAFile={junk}", {}, "the file of tlsCAFile is not"),
        ("loadBalanced=true", {}, "loadBalanced=true"),
        ("authMechanism=MONGDB-AWS", {}, "authMechanism has a value"),
        ("", {"database": "my.db"}, "RELAY_MONGO_DATABASE: "),
        ("", {"collection": "$x"}, "RELAY_TASKS_COLLECTION: "),
        ("", {"collection": "system.x"}, "RELAY_TASKS_COLLECTION: "),
    ],
)
def test_settings_that_no_database_could_meet(
    options: str, given: dict[str, str], says: str, tmp_path: Path
) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    expect(f"mongodb://localhost/?{options.format(junk=junk)}", says, lasting=LASTING, **given)


@pytest.mark.parametrize("options", ["replicaSet=rs0", "directConnection=true", "appName=x"])
async def test_what_passes_is_waited_for(
    options: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """First nobody listens, then the set is not set up, and then it is."""
    node = Node(tmp_path / "node")
    settings = settings_for(url_of(node, options), "app")
    relay, ready = Relay(settings), asyncio.Event()
    serving = asyncio.create_task(relay.run(ready.set))
    try:
        await _until_said(caplog, "refuses the connection")
        await asyncio.to_thread(node.start)
        await _until_said(caplog, "never set up")
        with node.client() as client:
            member = {"_id": 0, "host": node.host}
            await asyncio.to_thread(
                client.admin.command, "replSetInitiate", {"_id": "rs0", "members": [member]}
            )
        async with asyncio.timeout(SOON_S):
            await ready.wait()
    finally:
        relay.stop()
        await serving
        node.kill()


async def _until_said(caplog: pytest.LogCaptureFixture, part: str) -> None:
    async with asyncio.timeout(SOON_S):
        while not any(part in str(vars(record).get("reason")) for record in caplog.records):
            await asyncio.sleep(0.02)

"""Databases that the relay cannot follow, all real. `serve`, `check` and `tail --direct` report each in the same
sentence. `serve` ends if waiting cannot help, and otherwise waits and logs the reason."""

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
from checker import LONG_S
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from replicaset import Node, ReplicaSet
from support.certificates import Authority
from support.command_findings import ROOM_MS, roomy, sentences_about
from support.relay_fixture import settings_for

from relay.app import Relay
from relay.cli.demo import mongod as embedded
from relay.source.client import client_of
from relay.source.diagnosis import Diagnosis
from relay.source.reach import reach

PERMANENT, TEMPORARY = True, False
BRIEF_MS = 300  # a limit that is reached, because nothing comes

WAYS = ("replicaSet=rs0", "directConnection=true", "appName=x")  # to connect to one member
pytestmark = pytest.mark.timeout(3 * LONG_S)  # the steps have limits of their own


@pytest.fixture(autouse=True)
def _room() -> Iterator[None]:
    """Time for a server to answer on a busy machine."""
    with roomy():
        yield


def expect(url: str, *parts: str, permanent: bool, **given: Any) -> None:
    """Check that all three commands report the same sentence and that it contains these parts. `given` are further
    arguments for `sentences_about`."""
    sentences = sentences_about(url, **given)
    for part in parts:
        assert part in sentences.serve
    assert sentences.keeps_trying is not permanent
    assert sentences.serve == sentences.tail
    assert sentences.serve.casefold() == sentences.check.casefold()


@pytest.fixture(scope="module")
def replica_set() -> Iterator[ReplicaSet]:
    """A primary, a hidden member and an arbiter, with one collection of each kind in the database `app`."""
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
    deadline = time.monotonic() + LONG_S
    while True:
        with suppress(PyMongoError), node.client() as client:
            hello = client.admin.command("hello")
            if hello.get("hidden") and hello.get("secondary"):
                return
        assert time.monotonic() < deadline, "the member was not hidden"


def url_of(node: Node, options: str = "directConnection=true", user: str = "") -> str:
    return f"mongodb://{user}{node.host}/?{options}"


@pytest.mark.parametrize(
    ("collection", "expected"),
    [
        ("view", "app.view is a view"),
        ("series", "app.series is a time series"),
        ("capped", "a capped collection"),
    ],
)
def test_a_collection_that_cannot_be_followed_is_reported(
    replica_set: ReplicaSet, collection: str, expected: str
) -> None:
    expect(replica_set.url, expected, permanent=PERMANENT, collection=collection)


@pytest.mark.parametrize(("member", "expected"), [(1, "a hidden member"), (2, "an arbiter")])
def test_a_member_that_serves_no_client_is_reported(
    replica_set: ReplicaSet, member: int, expected: str
) -> None:
    expect(url_of(replica_set.members[member]), expected, permanent=PERMANENT)


@pytest.mark.parametrize("options", ["replicaSet=other", "replicaSet=other&directConnection=true"])
def test_a_wrong_replica_set_name_is_reported(replica_set: ReplicaSet, options: str) -> None:
    expect(url_of(replica_set.members[0], options), "called rs0", "replicaSet=rs0", permanent=PERMANENT)


def test_a_wrong_replica_set_name_in_a_url_of_all_members_is_reported(replica_set: ReplicaSet) -> None:
    expect(replica_set.url.replace("rs0", "other"), "called rs0", permanent=PERMANENT)


@pytest.mark.parametrize(
    ("user", "options", "expected"),
    [
        ("", "authMechanism=MONGODB-AWS", "pip install 'pymongo[aws]'"),
        ("ada%40EXAMPLE.COM@", "authMechanism=GSSAPI", "pip install 'pymongo[gssapi]'"),
        ("ada:hunter2@", "authMechanism=PLAIN", "does not offer the authMechanism"),
        ("ada:hunter2@", "replicaSet=rs0", "authSource="),
    ],
)
def test_an_authentication_that_cannot_work_is_reported(
    replica_set: ReplicaSet, user: str, options: str, expected: str
) -> None:
    expect(url_of(replica_set.members[0], options, user), expected, permanent=PERMANENT)


def test_a_server_without_tls_is_reported(replica_set: ReplicaSet) -> None:
    options = "replicaSet=rs0&tls=true"
    expect(url_of(replica_set.members[0], options), "answers without TLS", permanent=PERMANENT)


def test_a_replica_set_without_its_primary_is_waited_for(replica_set: ReplicaSet) -> None:
    replica_set.members[0].kill()
    try:
        parts = ("takes part as its primary", "refuses the connection")
        expect(replica_set.url, *parts, permanent=TEMPORARY, primary_ms=BRIEF_MS)
    finally:
        replica_set.members[0].start()
        replica_set.primary()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def with_tls(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A member that accepts only TLS."""
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
    deadline = time.monotonic() + LONG_S
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", node.port), timeout=1):
            return
        assert time.monotonic() < deadline, "mongod does not listen"


def test_a_server_that_requires_tls_is_reported(with_tls: Node) -> None:
    expect(url_of(with_tls, "replicaSet=rs0"), "wants TLS", "tls=true", permanent=PERMANENT)
    expect(url_of(with_tls), "wants TLS", permanent=PERMANENT)


def test_a_server_certificate_of_an_unknown_authority_is_reported(with_tls: Node, tmp_path: Path) -> None:
    server = Authority(tmp_path, "server")
    for options in ("tls=true", f"tls=true&tlsCAFile={server.file}"):
        expect(url_of(with_tls, options), "cannot be verified", "tlsCAFile", permanent=PERMANENT)


def test_a_server_certificate_for_another_name_is_reported(with_tls: Node, authority: Authority) -> None:
    url = url_of(with_tls, f"tls=true&tlsCAFile={authority.file}").replace("127.0.0.1", "localhost")
    expect(url, "it is for another name", permanent=PERMANENT)


def test_an_expired_server_certificate_is_reported(authority: Authority) -> None:
    """mongod does not start with an expired certificate, but keeps running if its certificate expires."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("expired", days=-1))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_shake_hands, args=(listening, context), daemon=True).start()
        url = f"mongodb://127.0.0.1:{listening.getsockname()[1]}/?tls=true&tlsCAFile={authority.file}"
        expect(url, "it has expired", permanent=PERMANENT)
        listening.shutdown(socket.SHUT_RDWR)


def _shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    """Accept TLS connections until the socket is closed."""
    with suppress(OSError):
        while True:
            connection = listening.accept()[0]
            with suppress(OSError), context.wrap_socket(connection, server_side=True):
                pass


def test_a_client_certificate_that_the_server_rejects_is_reported(
    with_tls: Node, authority: Authority, tmp_path: Path
) -> None:
    ours = Authority(tmp_path, "server").issue("ours")
    options = f"directConnection=true&tls=true&tlsCAFile={authority.file}&tlsCertificateKeyFile={ours}"
    expect(url_of(with_tls, options), "another client certificate", permanent=TEMPORARY)


def test_an_uninitiated_replica_set_is_waited_for(tmp_path: Path) -> None:
    node = Node(tmp_path / "node")
    node.start()
    try:
        _until_it_listens(node)
        for options in WAYS:
            expect(url_of(node, options), "never set up", "rs.initiate()", permanent=TEMPORARY)
    finally:
        node.kill()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Node, MongoClient[dict[str, Any]]]]:
    """A replica set of one member with authentication, and a client with all privileges."""
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
            deadline = time.monotonic() + LONG_S
            while not node.is_primary():
                assert time.monotonic() < deadline
            root = [{"role": "root", "db": "admin"}]
            with suppress(OperationFailure):  # the member does not accept writes yet
                client.admin.command("createUser", "root", pwd="root", roles=root)
        with MongoClient[dict[str, Any]](url_of(node, user="root:root@")) as client:
            yield node, client
    finally:
        node.kill()


def test_wrong_credentials_missing_privileges_and_a_missing_user_have_different_sentences(
    guarded: tuple[Node, MongoClient[dict[str, Any]]],
) -> None:
    node, root = guarded
    collection = {"db": "app", "collection": "tasks"}
    for action in ("find", "changeStream"):
        privileges = [{"resource": collection, "actions": [action]}]
        root.app.command("createRole", action, privileges=privileges, roles=[])
        root.app.command("createUser", action, pwd="hunter2", roles=[action])
    here = "directConnection=true&authSource=app"
    expect(url_of(node, here, "find:wrong@"), "does not accept the user or the password", permanent=PERMANENT)
    expect(
        url_of(node, user="find:hunter2@"), "authSource=", permanent=PERMANENT
    )  # the user belongs to another database
    expect(
        url_of(node, here, "find:hunter2@"), "may not open a change stream of app.tasks", permanent=PERMANENT
    )
    expect(url_of(node), "names no user", permanent=PERMANENT)
    sentences = sentences_about(url_of(node, here, "changeStream:hunter2@"))
    assert "may not read a moment of the past of app.tasks" in sentences.serve


def test_a_refused_connection_and_an_unknown_host_name_are_waited_for() -> None:
    port = embedded.free_port()
    expect(
        f"mongodb://u:hunter2@127.0.0.1:{port}/?replicaSet=rs0", "refuses the connection", permanent=TEMPORARY
    )
    expect("mongodb://no-such-host.invalid/?replicaSet=rs0", "is a name nobody knows", permanent=TEMPORARY)
    expect("mongodb+srv://no-such-host.example.invalid/", "mongodb+srv://", "DNS", permanent=TEMPORARY)


def test_a_server_that_never_answers_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mongodb://127.0.0.1:{silent.getsockname()[1]}/?replicaSet=rs0"
        expect(url, "does not answer in time", permanent=TEMPORARY, ask_ms=BRIEF_MS, primary_ms=BRIEF_MS)


def closes(connection: socket.socket) -> None:
    """Close without sending anything."""


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
    # Not a length that may be right: the driver would wait for a message of that length, and call the server silent.
    length = bytes([*random.randbytes(3), random.randrange(4, 256)])
    connection.sendall(length + random.randbytes(2000))
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


OTHER_SERVERS = (
    *(closes, closes_when_asked, resets, answers_http, greets, answers_at_random),
    *(answers_with_an_absurd_length, answers_half, answers_no_document),
)


@contextmanager
def serving_each(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Answer each connection in this way and close it. Gives the port."""

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


def test_a_server_that_is_not_mongodb_is_reported() -> None:
    with serving_each(answers_http) as port:
        for options in ("", "replicaSet=rs0", "directConnection=true"):
            url = f"mongodb://u:hunter2@127.0.0.1:{port}/?{options}"
            expect(url, "does not answer as MongoDB does", permanent=TEMPORARY)
        expect(f"mongodb://127.0.0.1:{port}/?tls=true", "Nothing answers: ", permanent=TEMPORARY)


@pytest.mark.parametrize("server", OTHER_SERVERS)
async def test_a_server_that_is_not_mongodb_is_recognised_before_waiting_for_a_primary(
    server: Callable[[socket.socket], None],
) -> None:
    class Asked(AssertionError):
        pass

    class Client:
        """Fails the test when it is used: no primary may be selected."""

        def __getattr__(self, name: str) -> Any:
            raise Asked(name)

    with serving_each(server) as port:
        for options in ("", "replicaSet=rs0", "directConnection=true"):
            url = f"mongodb://u:hunter2@127.0.0.1:{port}/?{options}"
            found = await reach(settings_for(url, "app"), cast(Any, Client()))
            assert "does not answer as MongoDB does" in str(found)
        found = await reach(settings_for(f"mongodb://127.0.0.1:{port}/?tls=true", "app"), cast(Any, Client()))
        assert "Nothing answers: " in str(found)


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ("%2Ftmp%2Fno-such-directory%2Fmongodb.sock", "is a socket that is not there"),
        (f"%2Ftmp%2F{'x' * 120}.sock", "is a socket that is not there"),
        ("no..such.host", "is a name nobody knows"),
        (f"{'x' * 64}.example.com", "is a name nobody knows"),
        ("h\x1b[31m:1", "is a name nobody knows"),
        ("255.255.255.255", "cannot be reached from here"),
    ],
)
def test_an_unreachable_host_is_waited_for(hosts: str, expected: str) -> None:
    expect(f"mongodb://u:hunter2@{hosts}/?replicaSet=rs0", expected, permanent=TEMPORARY)


async def test_a_server_whose_later_answers_are_invalid_bson_is_reported(replica_set: ReplicaSet) -> None:
    """An imitation of MongoDB may send invalid BSON, for which the driver raises an error of the `bson` package."""

    class Admin:
        async def command(self, *_: object, **__: object) -> None:
            raise InvalidBSON("hunter2")

    settings = settings_for(replica_set.url, "app")
    async with client_of(settings) as client:
        cast(Any, client).admin = Admin()
        found = await reach(settings, client)
    assert "MongoDB does not answer (InvalidBSON)" in str(found)


class SlowAdmin:
    """Answers the first command never, and later ones at once."""

    def __init__(self) -> None:
        self.asked = 0

    async def command(self, *_: object, **__: object) -> dict[str, Any]:
        self.asked += 1
        if self.asked == 1:
            await asyncio.Event().wait()
        return {"setName": "rs0", "isWritablePrimary": True, "maxWireVersion": 25}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_primary_that_is_too_slow_is_not_said_to_be_none(replica_set: ReplicaSet, host: str) -> None:
    """Regression: a command on a busy machine said that no member of the replica set takes part as its primary. It is
    named as it calls itself, because the driver asks it by that name."""
    url = url_of(replica_set.primary(), "replicaSet=rs0").replace("127.0.0.1", host)
    settings = settings_for(url, "app")
    with roomy():
        async with client_of(settings) as client:
            cast(Any, client).admin = SlowAdmin()
            found = await reach(settings, client, wait_ms=BRIEF_MS)
    assert str(found).startswith(f"The primary {replica_set.primary().host} does not answer in time: ")
    assert isinstance(found, Diagnosis)
    assert not found.lasting


async def test_a_command_asks_a_slow_server_again(replica_set: ReplicaSet) -> None:
    settings = settings_for(url_of(replica_set.primary(), "replicaSet=rs0"), "app")
    with roomy():
        async with client_of(settings) as client:
            cast(Any, client).admin = admin = SlowAdmin()
            assert isinstance(await reach(settings, client, wait_ms=BRIEF_MS, again_ms=ROOM_MS), dict)
    assert admin.asked == 2


def test_a_password_with_characters_that_mongodb_forbids_is_reported(replica_set: ReplicaSet) -> None:
    for part in ("ada:%07hunter2@", "ada:hunter2%F0%9F%98%80@", "ada:%E2%80%8Ehunter2@"):
        url = url_of(replica_set.members[0], "authMechanism=SCRAM-SHA-256", part)
        expect(url, "a character that MongoDB takes in none", permanent=PERMANENT)


def test_a_client_certificate_without_a_user_is_reported(with_tls: Node, authority: Authority) -> None:
    files = f"tlsCAFile={authority.file}&tlsCertificateKeyFile={authority.issue('nobody')}"
    options = f"directConnection=true&tls=true&{files}&authMechanism=MONGODB-X509"
    with MongoClient[dict[str, Any]](url_of(with_tls, f"directConnection=true&tls=true&{files}")) as client:
        config = {"_id": "rs0", "members": [{"_id": 0, "host": with_tls.host}]}
        client.admin.command("replSetInitiate", config)
        deadline = time.monotonic() + LONG_S
        while not client.admin.command("hello")["isWritablePrimary"]:
            assert time.monotonic() < deadline
    expect(url_of(with_tls, options), "authMechanism=MONGODB-X509", "$external", permanent=PERMANENT)


@pytest.mark.parametrize(
    ("options", "given", "expected"),
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
def test_settings_that_no_database_can_satisfy_are_reported(
    options: str, given: dict[str, str], expected: str, tmp_path: Path
) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    expect(f"mongodb://localhost/?{options.format(junk=junk)}", expected, permanent=PERMANENT, **given)


async def test_serve_waits_until_the_replica_set_is_initiated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """First the connection is refused, then the set is not initiated, and then it is."""
    node = Node(tmp_path / "node")
    relays = [Relay(settings_for(url_of(node, options), "app")) for options in WAYS]
    ready = [asyncio.Event() for _ in relays]
    serving = [asyncio.create_task(relay.run(event.set)) for relay, event in zip(relays, ready, strict=True)]
    try:
        await _until_logged(caplog, "refuses the connection", times=len(relays))
        await asyncio.to_thread(node.start)
        await _until_logged(caplog, "never set up", times=len(relays))
        with node.client() as client:
            member = {"_id": 0, "host": node.host}
            await asyncio.to_thread(
                client.admin.command, "replSetInitiate", {"_id": "rs0", "members": [member]}
            )
        async with asyncio.timeout(LONG_S):
            for event in ready:
                await event.wait()
    finally:
        for relay in relays:
            relay.stop()
        await asyncio.gather(*serving)
        node.kill()


async def _until_logged(caplog: pytest.LogCaptureFixture, part: str, *, times: int) -> None:
    """Wait until so many lines have this in their reason."""
    async with asyncio.timeout(LONG_S):
        while sum(part in str(vars(record).get("reason")) for record in caplog.records) < times:
            await asyncio.sleep(0.02)

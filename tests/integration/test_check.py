"""`relay check`, run as a process, over databases that are suitable and databases that are not."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128
from pymongo import MongoClient
from support.certificates import Authority
from support.command_process import run, standalone

from relay.cli.demo import mongod as embedded

Findings = dict[str, dict[str, Any]]
TASK = {
    "title": "Export",
    "status": "analyzing",
    "createdBy": "alice",
    "events": [{"type": "analysis_started"}],
}


def check(*arguments: str, code: int, stderr: str = "", **given: str) -> dict[str, Any]:
    """Run the check, which must end with this exit code and print its report and, on standard error, only `stderr`.
    Return the report."""
    ended = run("check", "--json", *arguments, **given)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert ended.stderr == stderr
    assert "hunter2" not in ended.stdout
    report: dict[str, Any] = json.loads(ended.stdout)
    assert report["works"] == (code == 0)
    assert all(found.get("remedy") for found in report["findings"] if found["mark"] in ("warning", "problem"))
    return report


def findings(report: dict[str, Any]) -> Findings:
    return {found["name"]: found for found in report["findings"]}


def marks(report: dict[str, Any]) -> dict[str, str]:
    return {found["name"]: found["mark"] for found in report["findings"]}


@pytest.fixture
def given(mongo_url: str, database_name: str) -> dict[str, str]:
    return {"RELAY_MONGO_URL": mongo_url, "RELAY_MONGO_DATABASE": database_name}


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Any:
    return mongo[database_name]["tasks"]


def test_a_suitable_database_with_suitable_documents_works(given: dict[str, str], tasks: Any) -> None:
    tasks.insert_many([dict(TASK) for _ in range(30)])
    before = [*tasks.find()]
    report = check(code=0, **given)
    assert {marks(report)[name] for name in ("reachable", "replica set", "version", "change stream")} == {
        "ok"
    }
    assert {marks(report)[name] for name in ("reads", "documents", "timeline", "statuses")} == {"ok"}
    assert report["sample"]["documents"] == 20
    assert report["sample"]["statuses"] == [{"value": "analyzing", "count": 20, "message": "task:analyzing"}]
    assert [*tasks.find()] == before


def test_a_certificate_is_looked_at(given: dict[str, str], tasks: Any, tmp_path: Path) -> None:
    tasks.insert_one({**TASK})
    authority = Authority(tmp_path)
    for days, mark, code in ((90, "ok", 0), (3, "warning", 0), (-1, "warning", 0)):
        certificate = authority.issue("relay", days=days)
        found = findings(check(code=code, **given, RELAY_TLS_CERT=str(certificate)))["certificate"]
        assert found["mark"] == mark
    certificate.write_text("hunter2")
    found = findings(check(code=1, **given, RELAY_TLS_CERT=str(certificate)))["certificate"]
    assert found["text"] == f"RELAY_TLS_CERT: {certificate} has no certificate in PEM"


def test_every_finding_is_one_plain_line_for_people(given: dict[str, str], tasks: Any) -> None:
    tasks.insert_one(TASK | {"title": "a secret", "status": "on\x1b[31m"})
    shown = run("check", **given)
    assert shown.returncode == 0
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("relay check: ")
    assert all(line.split(" ")[0] in ("ok", "note", "warning") for line in lines[2:-2]), lines
    assert lines[-1].startswith("This will work")
    assert "a secret" not in shown.stdout
    assert "on\\x1b[31m (1) → no message" in shown.stdout


def test_a_large_collection_is_warned_of_missing_indexes(given: dict[str, str], tasks: Any) -> None:
    tasks.insert_many([{"members": ["alice"], "teamId": "red"} for _ in range(1001)])
    tasks.create_index([("teamId", 1), ("status", 1)])
    tasks.create_index("members", partialFilterExpression={"open": True})
    report = check(code=0, **given)
    index = [found for found in report["findings"] if found["name"] == "index"]
    assert {found["text"].split()[3] for found in index if found["mark"] == "ok"} >= {"teamId"}
    lacking = next(found for found in index if "members" in found["text"])  # a partial index serves no filter
    assert lacking["mark"] == "warning"
    assert lacking["paste"].endswith('.getCollection("tasks").createIndex({"members": 1})')


def test_an_index_for_the_order_of_the_list_must_support_the_sort(
    given: dict[str, str], tasks: Any, tmp_path: Path
) -> None:
    (tmp_path / "m.toml").write_text('list_order = "createdAt"')
    given["RELAY_MAPPING"] = str(tmp_path / "m.toml")
    tasks.insert_many([{"createdAt": number} for number in range(1001)])
    tasks.create_index("createdAt")
    lacking = check(code=0, **given)["findings"]
    (keys,) = [f["paste"].split("createIndex(")[1][:-1] for f in lacking if "createdAt" in f.get("paste", "")]
    tasks.create_index([*json.loads(keys).items()])
    found = check(code=0, **given)["findings"]
    assert any(f["mark"] == "ok" and "the list's order, createdAt" in f["text"] for f in found)


def test_fields_behind_one_that_all_documents_have_need_no_index(given: dict[str, str], tasks: Any) -> None:
    tasks.insert_many([dict(TASK) for _ in range(1001)])
    tasks.create_index("createdBy")
    index = [found for found in check(code=0, **given)["findings"] if found["name"] == "index"]
    assert {found["mark"] for found in index if "(rule creator)" in found["text"]} == {"ok"}


def test_documents_that_do_not_fit_the_mapping_cause_warnings(given: dict[str, str], tasks: Any) -> None:
    tasks.insert_many([{"subject": "x", "owner": {"id": "a"}, "history": [{"type": "failed"}]}])
    report = check(code=0, **given)
    found = findings(report)
    assert found["documents"]["mark"] == "warning"
    assert "history" in found["timeline"]["text"]
    assert "nobody but an administrator" in found["visibility"]["text"]
    assert report["sample"]["administratorsOnly"] == 1


def test_types_of_ids_are_counted_and_unmatchable_ones_cause_a_warning(
    given: dict[str, str], tasks: Any
) -> None:
    tasks.insert_many(
        [{"createdBy": 7, "teamId": Decimal128("42.0")}, {"createdBy": "ada"}, {"createdBy": 7.5}]
    )
    report = check(code=0, **given)
    assert findings(report)["ids"]["mark"] == "warning"
    assert "1 other number that can match nobody" in findings(report)["ids"]["text"]
    assert report["sample"]["ids"] == {
        "creator": {"matched": {"integer": 1, "string": 1}, "unmatched": {"other number": 1}},
        "member": {"matched": {}, "unmatched": {}},
        "team": {"matched": {"integer": 1}, "unmatched": {}},
    }
    assert "rule team: 1 integer" in run("check", **given).stdout


def test_a_missing_collection_is_named_beside_the_existing_ones(given: dict[str, str], tasks: Any) -> None:
    tasks.insert_one(dict(TASK))
    found = findings(check(code=0, **given, RELAY_TASKS_COLLECTION="taks"))["collection"]
    assert found["mark"] == "warning"
    assert "there are tasks" in found["text"]


def test_a_view_is_refused(given: dict[str, str], tasks: Any) -> None:
    tasks.insert_one(dict(TASK))
    tasks.database.create_collection("shown", viewOn="tasks")
    found = findings(check(code=1, **given, RELAY_TASKS_COLLECTION="shown"))
    assert found["collection"]["mark"] == "problem"


def test_a_capped_collection_is_refused(given: dict[str, str], tasks: Any) -> None:
    tasks.database.create_collection("capped", capped=True, size=4096)
    found = findings(check(code=1, **given, RELAY_TASKS_COLLECTION="capped"))["reads"]
    assert found["mark"] == "problem"
    assert "a capped collection" in found["text"]


def test_ignored_options_are_a_warning(given: dict[str, str]) -> None:
    found = findings(check(code=0, **given | {"RELAY_MONGO_URL": given["RELAY_MONGO_URL"] + "&timeoutMS=1"}))
    assert found["options"]["mark"] == "warning"
    assert "timeoutMS" in found["options"]["text"]


def test_the_role_option_prints_the_least_role(given: dict[str, str]) -> None:
    shown = run("check", "--role", **given).stdout
    assert f'"db": "{given["RELAY_MONGO_DATABASE"]}", "collection": "tasks"' in shown
    assert "createRole(" in shown


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "RELAY_MONGO_URL is not set"),
        ({"RELAY_MONGO_URL": "postgres://u:hunter2@x"}, "RELAY_MONGO_URL is not a MongoDB connection string"),
        (
            {"RELAY_MONGO_URL": "mongodb://u:hunter2@x/?tlsCAFile=/nowhere"},
            "RELAY_MONGO_URL: the file of tlsCAFile",
        ),
        ({"RELAY_MONGO_URL": "mongodb://x", "RELAY_MONGO_DATABASE": "my.db"}, "RELAY_MONGO_DATABASE: "),
        ({"RELAY_MONGO_URL": "mongodb://x", "RELAY_MAPPING": "/nowhere.toml"}, "The mapping file /nowhere"),
    ],
)
def test_settings_that_cannot_be_used_end_the_check_with_one_sentence(
    given: dict[str, str], says: str
) -> None:
    ended = run("check", **given)
    assert ended.returncode == 3
    assert ended.stderr.startswith(f"relay: {says}")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""
    answer = check(code=3, stderr=ended.stderr, **given)
    assert ended.stderr == f"relay: {answer['problems'][0]}\n"


def test_a_database_that_does_not_answer_is_a_problem() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        report = check(code=1, RELAY_MONGO_URL=f"mongodb://u:hunter2@127.0.0.1:{probe.getsockname()[1]}/")
    assert findings(report)["reachable"]["mark"] == "problem"
    assert "refuses the connection" in findings(report)["reachable"]["text"]


def test_a_silent_server_does_not_hold_the_check_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        report = check(code=1, RELAY_MONGO_URL=f"mongodb://127.0.0.1:{silent.getsockname()[1]}/")
    assert marks(report) == {"reachable": "problem"}


def test_a_wrong_name_of_the_replica_set_is_reported(mongo_url: str) -> None:
    if "replicaSet=rs0" not in mongo_url:
        pytest.skip("the given database's set has another name")
    report = check(code=1, RELAY_MONGO_URL=mongo_url.replace("replicaSet=rs0", "replicaSet=other"))
    assert findings(report)["reachable"]["remedy"] == "Write replicaSet=rs0 in it."


@pytest.mark.parametrize("query", ["", "?replicaSet=rs0"])
def test_a_standalone_server_is_a_problem_with_its_remedy(tmp_path: Path, query: str) -> None:
    with standalone(tmp_path) as url:
        with MongoClient[dict[str, Any]](url) as client:  # wait until it answers
            client.admin.command("ping")
        report = check(code=1, RELAY_MONGO_URL=url + query)
    assert findings(report)["replica set"]["mark"] == "problem"
    assert "rs.initiate()" in findings(report)["replica set"]["remedy"]


class Guarded:
    """A mongod with access control."""

    def __init__(self, server: embedded.Mongod) -> None:
        self.port = server.port
        self.url = server.url
        with MongoClient[dict[str, Any]](port=server.port, directConnection=True) as first:
            first.admin.command("createUser", "root", pwd="hunter2", roles=["root"])
        self.admin = MongoClient[dict[str, Any]](self.url, username="root", password="hunter2")

    def user(self, *privileges: dict[str, Any], roles: tuple[Any, ...] = ()) -> dict[str, str]:
        """Create a user with these rights, and return the settings of a relay that connects as this user."""
        name = f"u{secrets.token_hex(4)}"
        self.admin.app.command("createRole", name, privileges=[*privileges], roles=[])
        self.admin.app.command("createUser", name, pwd="hunter2", roles=[name, *roles])
        return self.settings(name, "app")

    def settings(self, name: str, source: str) -> dict[str, str]:
        return {
            "RELAY_MONGO_URL": self.url.replace("://", f"://{name}:hunter2@") + f"&authSource={source}",
        }


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    key = tmp_path_factory.mktemp("key") / "key"
    key.write_bytes(base64.b64encode(os.urandom(96)))
    key.chmod(0o600)
    arguments = ["--auth", "--keyFile", str(key), "--setParameter", "minSnapshotHistoryWindowInSeconds=30"]
    with embedded.start(extra_args=arguments) as server:
        guarded = Guarded(server)
        guarded.admin.app.tasks.insert_many([dict(TASK) for _ in range(1001)])
        yield guarded
        guarded.admin.close()


def may(*actions: str) -> dict[str, Any]:
    return {"resource": {"db": "app", "collection": "tasks"}, "actions": [*actions]}


def test_find_and_change_stream_on_the_collection_are_enough(guarded: Guarded) -> None:
    report = check(code=0, **guarded.user(may("find", "changeStream")))
    assert findings(report)["rights"]["mark"] == "ok"
    assert "cannot be seen" in findings(report)["oplog window"]["text"]
    assert "cannot be seen" in findings(report)["snapshot window"]["text"]
    assert report["sample"]["documents"] == 20
    assert "index" in findings(report)
    assert "role" not in report


@pytest.mark.parametrize(
    ("actions", "refused", "allowed"),
    [
        (["find"], {"change stream"}, {"reads"}),
        (["changeStream"], {"change stream", "reads"}, set()),
        (["listIndexes"], {"change stream", "reads"}, set()),
    ],
)
def test_fewer_rights_are_not_enough_and_the_role_is_printed(
    guarded: Guarded, actions: list[str], refused: set[str], allowed: set[str]
) -> None:
    report = check(code=1, **guarded.user(may(*actions)))
    assert {name for name, mark in marks(report).items() if mark == "problem"} == refused
    assert all(marks(report)[name] == "ok" for name in allowed)
    assert '"actions": ["find", "changeStream"]' in report["role"]


def test_the_printed_role_works(guarded: Guarded) -> None:
    printed = check(code=1, **guarded.user(may("find")))["role"]
    create = json.loads(printed.splitlines()[0].split(".createRole(")[1].removesuffix(")"))
    guarded.admin.admin.command("createRole", create.pop("role"), **create)
    guarded.admin.admin.command("createUser", "relay", pwd="hunter2", roles=["relay"])
    report = check(code=0, **guarded.settings("relay", "admin"))
    assert findings(report)["rights"]["mark"] == "ok"


def test_a_user_who_may_write_is_a_warning(guarded: Guarded) -> None:
    report = check(code=0, **guarded.user(roles=({"role": "readWrite", "db": "app"},)))
    assert findings(report)["rights"]["mark"] == "warning"
    assert "insert, update, remove" in findings(report)["rights"]["text"]
    assert "createRole" in report["role"]


def test_a_user_who_may_read_more_is_a_note(guarded: Guarded) -> None:
    report = check(code=0, **guarded.user(roles=({"role": "read", "db": "app"},)))
    assert findings(report)["rights"]["mark"] == "note"


def test_a_user_who_may_monitor_sees_the_windows(guarded: Guarded) -> None:
    monitor = {"role": "clusterMonitor", "db": "admin"}
    report = check(code=0, **guarded.user(may("find", "changeStream"), roles=(monitor,)))
    assert findings(report)["oplog window"]["mark"] == "ok"
    assert findings(report)["snapshot window"]["text"].startswith("30 s")
    assert marks(report)["snapshot window"] == "warning"
    assert marks(report)["journal"] == "ok"


def test_the_server_status_shows_the_oplog_window_to_users_who_may_not_read_the_oplog(
    guarded: Guarded,
) -> None:
    status = {"resource": {"cluster": True}, "actions": ["serverStatus"]}
    guarded.admin.admin.command("createRole", "status", privileges=[status], roles=[])
    report = check(
        code=0, **guarded.user(may("find", "changeStream"), roles=({"role": "status", "db": "admin"},))
    )
    assert marks(report)["oplog window"] == "warning"


def test_a_wrong_password_and_a_missing_user_are_different_problems(guarded: Guarded) -> None:
    wrong = check(code=1, **guarded.settings("nobody", "admin"))
    assert "does not accept" in findings(wrong)["reachable"]["text"]
    nobody = check(code=1, RELAY_MONGO_URL=guarded.url)
    assert "names no user" in findings(nobody)["rights"]["text"]

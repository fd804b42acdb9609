"""Secrets behind their names, in texts and in pairs of data, and everyday texts that resemble them."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.doc_snippets import REDACTION
from support.linear_time import assert_linear

from relay.tasks.assignments import patterns
from relay.tasks.event_view import EventView, event_json
from relay.tasks.names import NAMES
from relay.tasks.redact import Redaction, Redactor
from relay.tasks.signs import folded, signs

REDACTOR = Redactor()
VIEW = EventView()


def data(element: Any, view: EventView = VIEW) -> Any:
    return orjson.loads(event_json(element, view))["data"]


# In the texts below, the word S is replaced by a secret.

TEXTS = [
    # Variables of an environment, files with them, commands.
    *("PASSWORD=S", "export DB_PASSWORD='S y'", 'export DB_PASSWORD="S y"', "DB_PASS=S", "API_TOKEN=S\nA=1"),
    *("A=1\nPASSWORD=S\nB=2\n", "A=1\r\nSECRET=S\r\nB=2", "env PASSWORD=S ls -l", "PGPASSWORD=S psql -h db"),
    *("docker run -e DB_PASSWORD=S image", 'docker run -e "DB_PASSWORD=S" image', "$env:API_KEY = 'S'"),
    *("set GITHUB_TOKEN=S", "setx API_KEY S", "ENV DB_PASSWORD S", "ARG=1 NPM_TOKEN=S", "ACME_PASSWORD=S"),
    *("RABBITMQ_DEFAULT_PASS=S", "MSSQL_SA_PASSWORD=S", "ACME_API_KEY=S", "LINEAR_WORKER_SECRET=S"),
    *("OAUTH2_CLIENT_SECRET=S", "PASSWORD_1=S", "password2=S", "--env=DB_PASSWORD=S", "MYSQL_PWD=S mysql"),
    *("- DB_PASSWORD=S\n- A=1", "Environment=DB_PASSWORD=S", "\x1b[32mPASSWORD\x1b[0m=1 TOKEN=S"),
    *("\x1b[1;32mPASSWORD=S", "a\\nPASSWORD=S\\nB=1", "heroku config:set API_KEY=S", "PASSWORD ?= S"),
    # Options of commands.
    *(
        "--password S",
        "--password=S",
        "login --token S --quiet",
        "--api-key 'S y' run",
        "-Dspring.password=S",
    ),
    *("tool --apiKey S", "tool -password S", "--client-secret=S", '["--password","S"]', "['--token', 'S']"),
    *(
        "curl -u ada:S https://h",
        "curl --user 'ada:S' h",
        "curl -sS -X POST -u ada:S h",
        "sshpass -p S ssh h",
    ),
    *("mysql -u root -p'S' db", "docker login -u ada -p S r", "redis-cli -a S ping", "-passin pass:S"),
    *("machine h login ada password S", "git config user.password S"),
    # YAML, TOML, INI, properties.
    *("password: S", "password: 'S y'", 'password: "S y"', "db:\n  password: S\n  user: ada", "password : S"),
    *("'password': S", "- password: S", "user: ada\npass: S", "pwd: S", "passwords: S", "tokens: S"),
    *('password = "S"', "password = S", "[db]\npassword=S", "spring.datasource.password=S", "a.b.token: S"),
    *(
        'api_key = "S" # for the bank',
        "secret: >-\n  S\n  S\nuser: ada",
        "private_key: |\n    S\n    S\nb: 1",
    ),
    *("passphrase: S battery staple", "Password: S", "password: !!str S", "PASSWORD: S", "api-key: S"),
    *(
        "{password: S, user: ada}",
        "//registry.npmjs.org/:_authToken=S",
        "_auth_token: S",
        "apiKeys: ['S', 'S']",
    ),
    # Headers.
    *("X-Api-Key: S", "x-api-key:S", "X-Auth-Token: S", "Cookie: sid=S; theme=dark", "Cookie: S"),
    *("Set-Cookie: sid=S; Path=/; HttpOnly", "Proxy-Authorization: Basic S", "Authorization: S"),
    *(
        "Authorization: Basic S",
        "authorization: Bearer S",
        'Authorization: Digest username="S", response="S"',
    ),
    *("Accept: */*\r\nCookie: a=S; b=S\r\nHost: h", "curl -H 'X-Api-Key: S' https://h", "PRIVATE-TOKEN: S"),
    *('curl -H "Cookie: a=S; b=S" https://h', "X-Vault-Token: S", "Ocp-Apim-Subscription-Key: S"),
    *("> X-Api-Key: S\n> Accept: */*", "'Cookie': 'a=S'", "GET / HTTP/1.1\\r\\nCookie: a=S\\r\\nHost: h"),
    # Addresses and connection strings.
    *("/x?api_key=S", "/x?a=1&pwd=S&b=2", "?passwd=S", "mongodb://u:S@h/db", "user[password]=S"),
    *("Server=db;Password=S;Database=app", "Server=db;User Id=sa;Pwd=S;", "jdbc:x://h/db?user=a&password=S"),
    *("host=db user=ada password=S dbname=app", "AccountName=a;AccountKey=S==;", "SharedAccessKey=S"),
    "grant_type=password&client_secret=S",
    # JSON in a text, as often as it was put into a string.
    *(
        '{"password":"S"}',
        '{"password": "S", "user": "ada"}',
        '{\\"password\\":\\"S\\"}',
        '{"tokens":["S","S"]}',
    ),
    *(
        '{\\\\\\"password\\\\\\": \\\\\\"S\\\\\\"}',
        '{"a":{"b":[{"api_key":"S"}]}}',
        '{"credentials":{"a":"S"}}',
    ),
    *(
        '{"pass" : "S"}',
        'got {"DB_PASSWORD":"S"} from it',
        '"token":"S',
        "{'password': 'S'}",
        '"otp": 123456',
    ),
    *(
        "{'token': b'S'}",
        "{:password=>'S'}",
        ':api_key => "S"',
        "password: 'S', user: 'ada'",
        '{"Cookie":"S"}',
    ),
    *("{password: `S`}", "config['password'] = 'S'", 'os.environ["DB_PASSWORD"] = "S"', '{"API key": "S"}'),
    *('{"password":"S \\" S","user":"ada"}', "User(name='ada', password='S')", '#<User password: "S">'),
    *('const apiKey = "S";', 'password: str = "S"', "let token: string = 'S'", '{"log":"PASSWORD=S"}'),
    # XML.
    *("<password>S</password>", '<password type="text">S</password>', "<ns:apiKey>S</ns:apiKey>"),
    *('<add key="DB_PASSWORD" value="S"/>', '<property name="password" value="S" />', "<db password='S'/>"),
    *('<entry key="password">S</entry>', "<token><![CDATA[S]]></token>", '<input name="password" value="S">'),
    # Pairs.
    *('{"name":"DB_PASSWORD","value":"S"}', '{"value":"S","name":"DB_PASSWORD"}', '["X-Api-Key","S"]'),
    *(
        "- name: DB_PASSWORD\n  value: S\n- name: A",
        "- name: DB_PASSWORD\n  value: 'S'",
        "{key: 'token', value: 'S'}",
    ),
    *(
        "[('Authorization', 'Basic S')]",
        '[["authorization","S"]]',
        "[(b'x-api-key', b'S')]",
        "('password', 'S')",
    ),
    *(
        '{\\"name\\":\\"DB_PASSWORD\\",\\"value\\":\\"S\\"}',
        '[\\"X-Api-Key\\",\\"S\\"]',
        'h.set("X-Api-Key", "S")',
    ),
    *('{"key": "/prod/db/password", "type": "env", "value": "S"}', "name=DB_PASSWORD value=S ok"),
    *('{"Name": "API_KEY",\n "Value": "S"\n}', '{ "X-Api-Key", "S" }', '[\n  "X-Api-Key",\n  "S"\n]'),
    *("CREATE USER a IDENTIFIED BY 'S'", "identified with caching by 'S'", "set -gx GITHUB_TOKEN S"),
    *("passphrase: the horse S", "recovery phrase: add S", "password: correct horse battery S"),
    # Several lines, words, marks.
    *(
        'PASSWORD="S\nS"',
        "PASSWORD='''S\nS'''",
        "PASSWORD=$(cat <<EOF\nS\nS\nEOF\n)",
        "**Password:** S",
        "`TOKEN`: S",
    ),
    *("API key: S", "the client secret: S", "connection string: S", "ALTER USER a WITH PASSWORD 'S'"),
    *(
        "password: 'S''S'",
        "PASSWORD='S'\"S\"S ls",
        "password:\n  S\nuser: ada",
        "tokens:\n- S\n- S\nuser: ada",
    ),
    *("&quot;password&quot;:&quot;S&quot;", "password%3DS", "%22password%22%3A%22S%22", "tokens[0] = 'S'"),
    *(
        "+ password: S\n- password: S",
        "password[]=S",
        "password: <S>",
        "PASSWORD=(S",
        "password: {S",
        "Tokens: [S",
    ),
    *("login ok, token: S, user: ada", "(password: S)", "user=ada, password=S, role=admin", "Pass: S"),
    # Options of one letter, and names of frameworks.
    *("java -Dpassword=S -jar a", "-DapiKey='S y'", "gradle -PrepoToken=S", "docker run -eAPI_TOKEN=S i"),
    *("SECRET_KEY_BASE: S", "SECRET_KEY_BASE=S", "secret_key_base: S", '{"secretKeyBase": "S"}'),
    *("ansible_become_pass: S", "ansible_ssh_pass=S", "become_pass: S", "ansible_sudo_pass: 'S'"),
    # Pairs of forms and of parameters.
    *('{"type": "password", "value": "S"}', '{"label": "Password", "answer": "S"}'),
    *(
        '{"parameterName": "token", "parameterValue": "S"}',
        '{"ParameterKey":"DbPassword","ParameterValue":"S"}',
    ),
    *(
        "- type: password\n  value: S",
        '{"answer": "S", "question": "Password"}',
        '<input type="password" value="S">',
    ),
    *('{"name": "my .token for x", "value": "S"}', '{"name": ".password of y", "value": "S"}'),
    '{"name": "a.token (b)", "value": "S"}',
    # Tables, and the next line.
    *(
        "| password | S |",
        "| `DB_PASSWORD` | `S` |",
        "|token|S|",
        "| a | b |\n| --- | --- |\n| **token** | S |",
    ),
    *("a\n\n| 1 | password | S |\n", "| user | ada |\\n| password | S |\\n", "> | API_KEY | S |"),
    *("Password:\nS", "ok\nPassword:\r\nS\r\n", "**Token:**\nS\nbye", "## API key:\nS"),
    # Colours, spaces that are no spaces, addresses without a scheme.
    *(
        "\x1b[32mPASSWORD\x1b[0m=S",
        "\x1b[1;36mtoken\x1b[39m: \x1b[33mS\x1b[39m",
        "\\u001b[32mAPI_KEY\\u001b[0m=S",
    ),
    *('\x1b[34;1m"password"\x1b[0m\x1b[1;39m:\x1b[0m \x1b[0;32m"S"\x1b[0m', "\\x1b[32mtoken\\x1b[0m: S"),
    *(
        "PASSWORD\u00a0=\u00a0S",
        "password\u00a0: S",
        "password:\u00a0S",
        "token\u202f:\u2009S",
        "--token\u00a0=S",
    ),
    *("//ada:S@host", "git clone //ada:S@host/a.git", "src='//ada:S@host'"),
    # What only begins as what code reads.
    *("password = os.environ.get('A', 'S')", "password = decrypt('S')", "token = get() + 'S'"),
    *(
        "PASSWORD=S()",
        "token = process.env.TOKEN || 'S'",
        "jwt: HS256-S",
        "secrets: inherit-S",
        "secrets: include S",
    ),
]


def with_secret(shape: str, secret: str) -> str:
    return re.sub(r"(?<![A-Za-z_])S(?![A-Za-z_])", lambda place: secret, shape)


@pytest.mark.parametrize("shape", TEXTS)
def test_the_value_after_the_name_of_a_secret_is_redacted(shape: str) -> None:
    for secret in ("zq7", "Zq7!", "zq7.Zq7+zq7="):
        text = with_secret(shape, secret)
        shown = REDACTOR.text(text)
        assert "zq7" not in shown.lower()
        assert "[redacted]" in shown
        assert data({"a": [text]}) == {"a": [shown]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("A=1\nPASSWORD=x\nB=2", "A=1\nPASSWORD=[redacted]\nB=2"),
        ("PASSWORD=p@ss,w0rd;1&2 ls -l", "PASSWORD=[redacted] ls -l"),
        ("password: correct horse, user: ada", "password: [redacted], user: ada"),
        ("password: x user: ada", "password: [redacted] user: ada"),
        ("password: x! Then log in", "password: [redacted] Then log in"),
        ("Server=db;Password=x;Database=app", "Server=db;Password=[redacted];Database=app"),
        ("curl -H 'X-Api-Key: x' https://h", "curl -H 'X-Api-Key: [redacted]' https://h"),
        ("Host: h\r\nCookie: a=b; c=d\r\nAccept: y", "Host: h\r\nCookie: [redacted]\r\nAccept: y"),
        ("Authorization: Basic x", "Authorization: Basic [redacted]"),
        ('{"otp": 123456, "n": 1}', '{"otp": "[redacted]", "n": 1}'),
        ('{"tokens": ["a", "b"], "n": [1]}', '{"tokens": "[redacted]", "n": [1]}'),
        ('{\\"password\\":\\"a\\\\\\"b\\",\\"n\\":1}', '{\\"password\\":\\"[redacted]\\",\\"n\\":1}'),
        (
            "- name: TOKEN\n  value: x\n- name: A\n  value: b",
            "- name: TOKEN\n  value: [redacted]\n- name: A\n  value: b",
        ),
        ("key: |\n  a\nsecret: |\n  b\n  c\nd: e", "key: |\n  a\nsecret: |\n  [redacted]\nd: e"),
        ('["Host","h","Authorization","x"]', '["Host","h","Authorization","x"]'),  # told apart in data only
    ],
)
def test_only_the_value_is_redacted(text: str, shown: str) -> None:
    assert REDACTOR.text(text) == shown


STAY = [
    *(
        "fix(password): trim the input",
        "feat(auth,token): x",
        "token: fix the refresh",
        "secrets: add rotation",
    ),
    *(
        "Cookies: the banner overlaps",
        "Password: use the new form",
        "Tokens:\n- refresh tokens live for a day\n",
    ),
    "password reset requested",
    "token count: 1234",
    "tokens: 512",
    "maxTokens: 4096",
    "input_tokens=123",
    "total_tokens: 99",
    "max_tokens=4096",
    "MAX_TOKENS=4096",
    "used 1,234 tokens, 12% of 200k",
    "tokens: 1,234",
    "tokens=12k",
    "tokens: 512 in, 30 out",
    "Tokens: 1234/4096",
    '{"tokens":512}',
    '{"usage":{"tokens":{"input":12,"output":5}}}',
    '{"usage": {"input_tokens": 12, "tokens": 7}}',
    "{'tokens': 512}",
    '{"max_tokens":4096,"stop":null}',
    '"tokens": null',
    '{"token": null, "password": ""}',
    "author: ada",
    "keyboard: x",
    "monkey=1",
    "passed: 3",
    "pass: true",
    "pass: 3, fail: 0",
    "# pass 12",
    "passing: yes",
    "compass: north",
    "bypass=1",
    "secretary: bob",
    "tokenizer: bpe",
    "tokenizer=bpe",
    "key: value",
    "primary key: id",
    "foreign key = a",
    "key=abc",
    "public_key: x",
    "cache-key: abc",
    "keys: a, b",
    "the key is abc",
    "sort_key=name",
    "keyword: x",
    "--key abc",
    "https://example.com/a?x=1&page=2#key",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "id: 123e4567-e89b-12d3-a456-426614174000",
    "fixes #12, see https://github.com/a/b/issues/12",
    "PASS: TestLogin (0.00s)",
    "--- PASS: TestFoo (0.01s)",
    "PASS src/a.test.js",
    "ok  pkg 0.3s",
    "PASS",
    "first pass: link all",
    "second pass: 12 files",
    "Unexpected token: }",
    "SyntaxError: Unexpected token '<'",
    "next page token: abc",
    "stop token: </s>",
    "nextPageToken=abc",
    "cancellation_token: CancellationToken",
    "resumeToken: x",
    "token: expired",
    "password: required",
    "Password: is required",
    "password: changed by ada",
    "api_key: missing",
    "secret: not found",
    "token: invalid",
    "credentials: none",
    "def login(user: str, password: str) -> None:",
    "token: string;",
    "password: Optional",
    "PWD=/srv/app",
    "pwd: /home/ada/x",
    "OLDPWD=/srv",
    "pwd=~/x",
    "password: ${DB_PASSWORD}",
    "token: ${{ secrets.GITHUB_TOKEN }}",
    "password={{ password }}",
    "password: ''",
    'PASSWORD=""',
    "PASSWORD=",
    "password:",
    "password:\n",
    "cookies: enabled",
    "cookie consent: yes",
    "accept cookies, please",
    "the cookie banner",
    "cookie-cutter: x",
    ":cookie: yay",
    "Token::new(x)",
    "token://abc",
    "std::pass::run",
    "use the --password flag",
    "the --token option is required",
    "input('Password: ')",
    'print("token: ", end="")',
    "docker run -u 1000:1000 -p 8080:80 x",
    "mkdir -p a/b",
    "ls -a x",
    "login page -x",
    "authorization: required for this",
    "authority: x",
    "authorized: yes",
    "authorName=bob",
    "jwt-decode: 1.0",
    "otpauth: x",
    "passport: x",
    "password_reset: true",
    "password-reset=done",
    "passwordless: x",
    "secrets.yaml: x",
    "secret-santa: bob",
    "credits: 5",
    "credit: 5",
    "accredited: yes",
    "hasPassword: true",
    "has_token=yes",
    "requires_api_key: true",
    "forgotPassword: x",
    "resetPassword: x",
    "token_type: bearer",
    "tokenType=Bearer",
    "expires_in: 5",
    "token_count=5",
    'labels: ["bug","password","docs"]',
    '["password","token"]',
    '["username","password"]',
    '{"name":"ada","value":"x"}',
    '{"name":"tokens","value":512}',
    '["tokens",512]',
    "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db\n      key: password\n",
    "<p>password</p>",
    "<token/>",
    "a < b, tokens > 5",
    "if token == null",
    "passwd -l ada",
    "Bearer of bad news",
    "basic: x",
    "string: abc",
    "a string: x",
    "type: string",
    "id: 5",
    "connection: keep-alive",
    "session id: 5",
    "sessionId: abc",
    "pin: 4",
    "hash: abc",
    "phrase: hello",
    "code: 200",
    "status code: 500",
    "exit code=1",
    "level=info msg=done step=3 worker=w-1",
    "2026-01-02T03:04:05Z INFO worker: picked task 5 (12 keys)",
    "| token | count |",
    "[ ] add password reset",
    "feat(auth): add token refresh",
    "fix: pass context to worker",
    "docs: describe api key rotation",
    "refactor: secrets handling",
    "Rotate API keys",
    "How to store passwords?",
    "What is the password policy?",
    "Is the token valid?",
    "tokens per second: 12",
    "cost: 12 tokens",
    "pass rate: 98%",
    "passes: 12",
    "pass=12 fail=3",
    "secret scanning: enabled",
    "secrets: inherit",
    "jobs:\n  a:\n    secrets: inherit\n",
    "credentials: include",
    "credentials: 'same-origin'",
    'fetch(u, {credentials: "omit", mode: "cors"})',
    "const token = await getToken();",
    "password = getpass()",
    '{"log":"password = getpass()"}',
    "login(user, password=getpass.getpass())",
    "password = os.environ['DB_PASSWORD']",
    'password = os.environ.get("DB_PASSWORD")  # of the bank',
    "const token = process.env.API_TOKEN!;",
    "token: process.env['TOKEN'],",
    "jwt: HS256 is the algorithm",
    '["token", "expired"]',
    '["password", "email"]',
    '{"fields": ["password", "login"]}',
    '{\\"tags\\": [\\"token\\", \\"backend\\"]}',
    '{"type": "token", "value": "Hello"}',
    '{"type":"token","content":" world"}',
    "| Password | Notes on it |\n| --- | --- |",
    "| token | who |\n|:---|---|\n| a | b |",
    "| password | string | the password of the user |",
    "| `token` | A token for the API. |",
    "if (password || token || other) {",
    "type Kind = Password | Token | Other",
    "password:\nuser: ada",
    "tokens:\nA=1",
    "password:\nA=b\n",
    "secrets:\n---\n",
    "Password:\nrequired",
    "the password:\nx",
    "// note: a@b.example //a.b@c",
    "passwords must have 8 characters",
]


@pytest.mark.parametrize("text", STAY)
def test_everyday_texts_are_not_changed(text: str) -> None:
    assert REDACTOR.text(text) == text
    assert data({"a": text}) == {"a": text}


@pytest.mark.parametrize(
    "element",
    [
        {"pass": "zq7"},
        {"pwd": "zq7"},
        {"passwords": ["zq7"]},
        {"tokens": ["zq7"]},
        {"tokens": "zq7"},
        {"apiKeys": "zq7"},
        {"name": "DB_PASSWORD", "value": "zq7"},
        {"key": "token", "val": "zq7"},
        {"header": "Cookie", "content": "zq7"},
        {"k": "X-Api-Key", "v": "zq7"},
        {"field": "password", "old": "zq7", "new": "zq7"},
        ["X-Api-Key", "zq7"],
        [["authorization", "zq7"]],
        ["Host", "h", "Authorization", "zq7"],
        ["mysql", "--password", "zq7"],
        {"env": [{"name": "A", "value": "1"}, {"name": "API_KEY", "value": "zq7"}]},
        {"Name": "/prod/db/password", "Value": "zq7"},
        {"spring.datasource.password": "zq7"},
        {"ACME_TOKEN": "zq7"},
        {"acmePassword": "zq7"},
        {"X-Acme-Api-Key": "zq7"},
        {"PRIVATE-TOKEN": "zq7"},
        {"headers": [{"name": "Set-Cookie", "values": ["zq7"]}]},
        {"value": "zq7", "variable": "GITHUB_TOKEN"},
        {"PASSWORD=zq7": 1},
        {"argv": ["docker", "run", "-e", "TOKEN=zq7"]},
        {"password2": "zq7"},
        {"oauth2ClientSecret": "zq7"},
        {"db": {"passwd": {"a": "zq7"}}},
        {"tokens": {"a": "zq7"}},
        {"log": '{"a":"PASSWORD=zq7"}'},
        {"type": "x", "message": "X-Api-Key: zq7"},
        {"_id": 1, "name": "DB Password", "value": "zq7"},
        {"path": "/password", "op": "replace", "value": "zq7"},
        {"type": "password", "value": "zq7"},
        {"type": "password", "name": "x", "value": "zq7"},
        {"kind": "Secret", "data": {"a": "zq7"}},
        {"label": "Password", "answer": "zq7"},
        {"parameterName": "token", "parameterValue": "zq7"},
        {"ParameterKey": "DbPassword", "ParameterValue": "zq7"},
        {"secret_key_base": "zq7"},
        {"ansible_become_pass": "zq7"},
        ["password", "zq7"],
        {"fields": ["X-Api-Key", "zq7"]},
        {"answer": "zq7", "question": "Database password"},
        {"fields": ["a", "PASSWORD=zq7"]},
        {"secrets": "zq7"},
        {"credentials": "zq7"},
    ],
)
def test_the_value_of_a_pair_in_data_is_redacted(element: Any) -> None:
    json = event_json({"deep": [element]}, VIEW)
    assert b"zq7" not in json
    assert b"[redacted]" in json


@pytest.mark.parametrize(
    "element",
    [
        {"tokens": 512},
        {"tokens": {"input": 1, "output": 2}},
        {"pass": True},
        {"pass": 3},
        {"pwd": "/srv/app"},
        {"maxTokens": 5},
        {"input_tokens": 5},
        {"test_tokens": None},
        {"name": "tokens", "value": 3},
        ["password", "token"],
        {"labels": ["bug", "password"]},
        {"has_password": "yes"},
        {"use_api_key": True},
        {"name": "ada", "value": "x"},
        {"title": "Rotate the API key", "content": "now"},
        {"type": "token", "value": "Hello"},
        {"type": "token", "content": " world"},
        {"type": "pass", "value": "TestLogin"},
        {"secrets": "inherit"},
        {"credentials": "same-origin"},
        ["token", "expired"],
        {"fields": ["password", "email"]},
        {"labels": ["token", "backend", "password", "docs"]},
        {"passed": 1},
        {"ACME_PASSWORD": None},
        {"key": "value"},
        {"primary_key": "id"},
        ["a", "password"],
    ],
)
def test_everyday_data_is_not_changed(element: Any) -> None:
    assert data({"deep": [element]}) == {"deep": [element]}


def test_plain_words_are_values_except_in_lists_of_names() -> None:
    for pair in (
        ["password", "swordfish"],
        {"headers": ["x-api-key", "swordfish"]},
        {"a": ["token", "admin"]},
    ):
        assert b"[redacted]" in event_json(pair, VIEW)
        assert b"[redacted]" in event_json({"a": orjson.dumps(pair).decode()}, VIEW)
    for names in ({"columns": ["password", "swordfish"]}, {"Labels": ["token", "front-end"]}):
        assert data({"a": [names]}) == {"a": [names]}
        assert data(orjson.dumps(names).decode()) == orjson.dumps(names).decode()


def test_a_number_under_pass_or_tokens_is_a_count() -> None:
    event = {"tokens": 1_234_567, "pass": 9_999, "passwords": 3, "testTokens": {"in": 1, "out": [2, None]}}
    assert data(event) == event
    hidden = data({"pass": 123_456, "tokens": "512", "token": 5, "password": 1234, "otp": 1234})
    assert set(hidden.values()) == {"[redacted]"}


def test_names_of_the_mapping_are_found_in_every_form() -> None:
    view = EventView(redactor=Redactor(Redaction(names=("ticketPin", "Schlüssel"), keep=("token",))))
    for text in (
        "TICKET_PIN=zq7",
        "ticket pin: zq7",
        '{"ticketPin":"zq7"}',
        "--ticket-pin zq7",
        "SCHLÜSSEL: zq7",
    ):
        assert data({"a": text}, view)["a"] == text.replace("zq7", "[redacted]")
    for pair in (["ticket-pin", "zq7"], {"name": "TICKET_PIN", "value": "zq7"}, ["Schlüssel", "zq7"]):
        assert b"zq7" not in event_json(pair, view)
    assert data({"a": "token: Hello", "b": ["token", "x"]}, view) == {
        "a": "token: Hello",
        "b": ["token", "x"],
    }


def test_titles_types_and_lifecycle_messages_are_redacted_too() -> None:
    event = orjson.loads(event_json({"type": "PASSWORD=zq7", "data": "Cookie: zq7"}, VIEW))
    assert event["type"] == "PASSWORD=[redacted]"
    assert REDACTOR.beginning("x" * 90 + " password: " + "zq7 " * 3000, 110).endswith("password: [redacte…")


def test_a_type_that_was_cut_inside_a_mark_keeps_its_limit() -> None:
    kind = "x" * 180 + " password: zq7 and more"
    for size in (1, 100_000):
        shown = orjson.loads(event_json({"type": kind, "data": "y" * size}, VIEW))["type"]
        assert shown == "x" * 180 + " password: [redacte…"[:20]
        assert len(shown) == 200


def test_every_name_of_a_secret_ends_with_a_sign() -> None:
    (_, alone), (in_text, in_json) = patterns(frozenset()), signs(frozenset())
    for name in NAMES:
        for spelled in (name, name.upper(), name.replace("_", "-"), name.replace("_", " ").title()):
            assert re.search(alone, "x_" + spelled.lower())
            assert in_json(folded(f'"X-{spelled}: 1'.encode()))
            assert in_text(folded(f"X-{spelled}: 1".encode()))
            assert REDACTOR.text(f"X_{spelled}: zq7") == f"X_{spelled}: [redacted]"


@pytest.mark.parametrize(
    "text",
    [
        "config .password zq7",
        "name: .token value: zq7",
        "set -gx .TOKEN zq7",
        "пароль.password: zq7",
        "connection.string: zq7 connection_string: zq7",
    ],
)
def test_bytes_that_folding_leaves_out_hide_no_sign(text: str) -> None:
    in_text, in_json = signs(frozenset())
    assert in_text(folded(text.encode()))
    assert in_json(folded(orjson.dumps([text])))


# Properties of all texts.

PIECES = st.lists(
    st.sampled_from([*TEXTS, *STAY]).map(lambda shape: with_secret(shape, "zq7"))
    | st.sampled_from(
        [
            *(
                "password",
                "token",
                "TOKENS",
                "apiKey",
                "Cookie",
                "pass",
                "pwd",
                "API key",
                "authorization",
                "name",
            ),
            *(
                ": ",
                "=",
                ":",
                " = ",
                "=>",
                ",",
                ", ",
                ";",
                "&",
                " ",
                "\n",
                "\\n",
                "\t",
                "\r\n",
                "  ",
                "|\n  ",
                "- ",
            ),
            *(
                '"',
                "'",
                "`",
                '\\"',
                '\\\\\\"',
                "[",
                "]",
                "{",
                "}",
                "(",
                ")",
                "<",
                ">",
                "</",
                "/>",
                "--",
                "-u ",
                "value",
            ),
            *(
                "x",
                "zq7",
                "1234",
                "true",
                "changed",
                "[redacted]",
                "Bearer ",
                "Basic ",
                "https://",
                "@",
                "\\",
                "%3D",
            ),
        ]
    )
    | st.text(max_size=3),
    max_size=8,
).map("".join)


@given(PIECES)
@example("PASSWORD=zq7token = get() + 'zq7'password = os.environ.get('A', 'zq7')")
@example("DB_PASS=zq7password={{ password }}PASSWORD=zq7")
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once


@given(PIECES)
def test_the_json_of_a_secret_has_a_sign(text: str) -> None:
    if REDACTOR.text(text) != text:
        assert REDACTOR.may_change(orjson.dumps({"a": [text]}))
        assert REDACTOR.may_change(orjson.dumps({text: 1}))


@given(PIECES, st.integers(1, 300))
def test_a_cut_text_is_a_prefix_of_the_redacted_text(text: str, limit: int) -> None:
    shown = REDACTOR.text(text)
    assert REDACTOR.beginning(text, limit) == (shown if len(shown) <= limit else shown[: limit - 1] + "…")


PAIRS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99_999) | PIECES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "value", "key", "tokens", "pass", "a", "X-Api-Key"]), inner
        )
    ),
    max_leaves=8,
)


@given(PAIRS)
def test_a_value_without_a_sign_is_not_changed_and_redacting_twice_changes_nothing(value: Any) -> None:
    shown = REDACTOR.value(value)
    assert shown == value or REDACTOR.may_change(orjson.dumps({"data": value}, option=orjson.OPT_SORT_KEYS))
    assert REDACTOR.value(shown) == shown


# Time: four times the text takes about four times as long.

UNITS = [
    *(
        "password",
        "password:",
        "password: ",
        "password=",
        'password="',
        "password='a\\",
        "password:{",
        "tokens:{",
    ),
    *(
        "tokens:{tokens:1}",
        "tokens: [1,",
        "name: token\n",
        "value: a name: token ",
        '"name":"token",',
        "token,",
    ),
    *(
        "<password>",
        "<token a",
        "--token ",
        "--token a",
        "Cookie: a",
        'cookie:"',
        "cookie: a\n",
        "secret: |\n  a\n",
    ),
    *(
        "secret: |\n",
        "password: $(cat <<A\n",
        "pass: a b, ",
        "a,",
        "token=a,a=",
        "token=,,,,",
        "token: a a ",
        "\\",
    ),
    *(
        "token=\\",
        'token\\"',
        "token" + " " * 99,
        "api key ",
        "a b token: changed ",
        "pwd=/a",
        "password: changed ",
    ),
    *(
        "curl ",
        "curl -u ",
        "curl -u a",
        "mysql -",
        "login ",
        "machine a login ",
        "authorization: digest a",
        "_",
        "-",
    ),
    *(
        "connection ",
        "connection _",
        "authorization ' ",
        "by   ",
        "-----",
        "password 'a",
        "&quot;token&quot;:",
        "token%3D",
        "k",
        "key",
        "w",
        "c",
        "p",
        "tokens:\n",
        "tokens:\n - 1\n",
        "['token','a",
    ),
    *("|", "| token | a ", "| token | a |\n", "token:\na\n", "//a:", "//a:b", "/", "token\x1b[0m", "\x1b[0m"),
    *(
        "token\u00a0",
        "token = a.",
        "token = await ",
        "token = env(",
        'fields:["token","a",',
        "-Dtoken=",
        "token a ",
    ),
]


def search(text: str) -> None:
    REDACTOR.text(text)
    REDACTOR.may_change(text.encode())


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("start", ["", '"tokens": {'])
def test_the_time_is_linear_in_the_length_of_the_text(start: str, unit: str) -> None:
    assert_linear(search, *(start + unit * (size // len(unit)) for size in (4_096, 16_384)))


@pytest.mark.parametrize(
    "start", ["token:\n", "| token |", "token\x1b[0m=", "fields: [", "password = a.", "//a:"]
)
@pytest.mark.parametrize("unit", ["a", "a.", " ", "|", "@", "-"])
def test_the_time_is_linear_in_the_length_of_one_value(start: str, unit: str) -> None:
    assert_linear(search, *(start + unit * size + " b" for size in (4_096, 16_384)))


def test_every_form_of_the_reference_of_redaction_is_redacted() -> None:
    forms = REDACTION.read_text("utf-8").split("| where | how it looks |")[1].split("\n\n")[0]
    shown = [form.replace("\\|", "|") for form in re.findall("`([^`]*…[^`]*)`", forms)]
    assert len(shown) > 20
    for form in shown:
        if form != "value: …":  # which stands below a name
            assert REDACTOR.text(form.replace("…", "zq7")) == form.replace("…", "[redacted]")

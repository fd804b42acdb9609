"""The depth of JSON that peers may send is the same on every Python, however deep its parsers could go."""

from __future__ import annotations

import json
from json.decoder import JSONArray, JSONObject
from json.scanner import py_make_scanner
from pathlib import Path
from typing import Any

import bson
import orjson
import pytest
from bson import Code
from hypothesis import example, given
from hypothesis import strategies as st
from support.token_forgery import hmac_signed, jwk

from relay.auth import keys, tokens
from relay.auth.keys import BadKey, FixedKeys, from_jwks
from relay.auth.tokens import Verifier
from relay.client.events import decode
from relay.errors import BadRequest, Refused, StartupError
from relay.pipeline import load_mapping
from relay.protocol import requests
from relay.protocol.nesting import is_nested_deeper
from relay.source.identity import MAX_LEVELS
from relay.source.raw_bson import Undecodable
from relay.source.raw_bson import decode as decode_document
from relay.tasks.task_ids import candidate_ids, wire_id

SECRET = "a secret for tests, long enough for HS256"


def lists(levels: int) -> str:
    return "[" * levels + "]" * levels


class Counting(json.JSONDecoder):
    """Python's JSON parser, which records how deep it goes."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = self.deepest = 0
        self.parse_array = self._counted(JSONArray)
        self.parse_object = self._counted(JSONObject)
        self.scan_once = py_make_scanner(self)

    def _counted(self, parse: Any) -> Any:
        def counted(*args: Any) -> Any:
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
            try:
                return parse(*args)
            finally:
                self.depth -= 1

        return counted


texts = st.text() | st.text(alphabet='[]{}"\\:, a\n')
trees = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=20,
)
written = st.builds(
    lambda tree, ascii, indent: json.dumps(tree, ensure_ascii=ascii, indent=indent),
    trees,
    st.booleans(),
    st.sampled_from([None, 1]),
)


@given(written | texts, st.integers(0, 8))
@example('{"a": ["\\"[[[", "\\\\"]}', 2)
@example('["', 0)
@example('["a\\', 1)
@example('"[[[', 0)
@example("]]][", 1)
@example('["\u2028[[["]', 1)
def test_a_parser_never_goes_deeper_than_was_measured(text: str, levels: int) -> None:
    parser = Counting()
    try:
        parser.decode(text)
        is_json = True
    except ValueError:
        is_json = False
    found = is_nested_deeper(text.encode("utf-8", "surrogatepass"), levels)
    assert found or parser.deepest <= levels
    assert not is_json or found == (parser.deepest > levels)


@pytest.mark.parametrize("levels", [1, 32, 1_000, 100_000])
def test_the_limit_itself_is_allowed_and_one_level_more_is_not(levels: int) -> None:
    for text in (lists(levels), '{"]": "[\\"]", "a": ' * levels + "1" + "}" * levels):
        assert is_nested_deeper(text.encode(), levels - 1)
        assert not is_nested_deeper(text.encode(), levels)
    wide = "[" + "[]," * levels + "[]]"
    assert (is_nested_deeper(wide.encode(), 1), is_nested_deeper(wide.encode(), 2)) == (True, False)


# Every place where JSON comes in. Each gets nestings that one parser or another would follow.

TOO_DEEP = [100, 990, 5_000, 20_000, 100_000]


def verifier() -> Verifier:
    return Verifier(FixedKeys(keys.from_secret(SECRET, ["HS256"])), clock=lambda: 1_000.0)


@pytest.mark.parametrize("part", ["header", "claims"])
def test_a_token_that_is_nested_too_deeply_is_refused(part: str) -> None:
    def token(levels: int) -> str:
        given = {"header": '{"alg":"HS256","typ":"JWT"', "claims": '{"sub":"a","exp":2000'}
        given = {name: text + "}" for name, text in given.items()} | {
            part: f'{given[part]},"x":{lists(levels - 1)}}}'
        }
        return hmac_signed(given["header"], given["claims"], SECRET)

    assert verifier().verify(token(tokens.MAX_LEVELS)).sub == "a"
    for levels in (tokens.MAX_LEVELS + 1, 1_000, 3_000):
        assert len(token(levels)) <= tokens.MAX_TOKEN_BYTES
        with pytest.raises(Refused, match="unauthenticated"):
            verifier().verify(token(levels))


def test_a_jwks_that_is_nested_too_deeply_is_refused() -> None:
    def document(levels: int) -> bytes:
        return b'{"keys":[%s],"x":%s}' % (orjson.dumps(jwk("RSA")), lists(levels - 1).encode())

    assert len(from_jwks(document(keys.MAX_LEVELS), ["RS256"])[0]) == 1
    for levels in (keys.MAX_LEVELS + 1, *TOO_DEEP):
        with pytest.raises(BadKey, match="nested deeper than 16 levels"):
            from_jwks(document(levels), ["RS256"])


def test_a_request_or_a_poll_that_is_nested_too_deeply_is_refused() -> None:
    def frame(levels: int) -> str:
        return '{"type":"ping","data":{"x":' + lists(levels - 2) + "}}"

    def poll(levels: int) -> bytes:
        return b'{"dashboard":{},"x":%s}' % lists(levels - 1).encode()

    assert requests.parse(frame(requests.MAX_LEVELS)).type == "ping"
    assert requests.parse_poll(poll(requests.MAX_LEVELS)).dashboard is not None
    for levels in (requests.MAX_LEVELS + 1, *TOO_DEEP):
        for parse, text in ((requests.parse, frame(levels)), (requests.parse_poll, poll(levels))):
            with pytest.raises(BadRequest, match="nested deeper than 32 levels") as refused:
                parse(text)  # type: ignore[operator]
            assert refused.value.code == "bad_message"


@pytest.mark.parametrize(
    "nested",
    [
        pytest.param(lambda levels: {} if levels == 1 else {"a": nested_id(levels - 1)}, id="documents"),
        pytest.param(lambda levels: nested_scope(levels), id="code with a scope"),
    ],
)
def test_the_spelling_of_a_nested_id_leads_back_to_the_id(nested: Any) -> None:
    for levels in (1, 49, 50, 51, 100, MAX_LEVELS):
        spelled = wire_id(nested(levels))
        assert spelled.startswith('{"$bson"') == (levels > 50), levels
        assert [wire_id(one) for one in candidate_ids(spelled)[:-1]] == [spelled], levels


def nested_id(levels: int) -> dict[str, Any]:
    return {} if levels == 1 else {"a": nested_id(levels - 1)}


def nested_scope(levels: int) -> Any:
    inner = b"x" if levels == 1 else nested_scope(levels - 1)
    return Code("f", {"a": inner})


@pytest.mark.parametrize("levels", TOO_DEEP)
def test_a_task_id_that_is_nested_deeper_than_any_spelling_is_a_string(levels: int) -> None:
    for text in ('{"a":' * levels + "1" + "}" * levels, '{"a":' + lists(levels) + "}", "{" * levels):
        assert candidate_ids(text) == [text]


@pytest.mark.parametrize("levels", [1_025, *TOO_DEEP[2:]])
def test_the_python_client_refuses_a_message_that_is_nested_too_deeply(levels: int) -> None:
    """The limit is orjson's own, the same everywhere. The relay sends 100 levels of an event and a few more."""
    assert decode('{"type":"x","data":{"x":' + lists(500) + "}}").type == "x"
    with pytest.raises(ValueError):
        decode('{"type":"x","data":{"x":' + lists(levels) + "}}")


@pytest.mark.parametrize("levels", TOO_DEEP[:3])
def test_a_mapping_file_that_is_nested_too_deeply_stops_the_start_with_a_sentence(
    tmp_path: Path, levels: int
) -> None:
    for text in (f"fields = {lists(levels)}", f"[{'.'.join(['a'] * levels)}]\nb = 1"):
        (tmp_path / "mapping.toml").write_text(text)
        with pytest.raises(StartupError, match=r"The mapping file .*mapping\.toml"):
            load_mapping(tmp_path / "mapping.toml")


@pytest.mark.parametrize("innermost", [{}, {"$ref": "a", "$id": 1}])
def test_the_deepest_document_that_mongodb_stores_is_decoded(innermost: Any) -> None:
    """The driver decodes it. Where the driver would change a part, the relay decodes value by value."""
    document = innermost
    for _ in range(MAX_LEVELS):
        document = {"a": document}
    shown: Any = decode_document(bson.encode(document))
    for _ in range(MAX_LEVELS):
        shown = shown["a"]
    assert shown == innermost
    assert not isinstance(shown, Undecodable)

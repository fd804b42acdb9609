"""The etags of polled lists."""

from __future__ import annotations

import pytest
from bson import Timestamp

from relay.gateway.polling.etags import ListEtag, digest_of, etag_of, rights_of
from relay.protocol.polls import MAX_ETAG

RIGHTS = rights_of(frozenset({"team:s:red", "creator:s:alice"}), 500, "m")


@pytest.mark.parametrize("digest", ["", digest_of([b"x"])])
def test_an_etag_can_be_read_again(digest: str) -> None:
    etag = ListEtag(digest, Timestamp(2**32 - 1, 2**32 - 1), RIGHTS)

    assert ListEtag.parse(str(etag)) == etag
    assert len(str(etag)) <= MAX_ETAG


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "2",
        etag_of([b"x"]),
        f"2..1.1.{RIGHTS}0",
        f"2..-1.1.{RIGHTS}",
        f"2..9999999999.1.{RIGHTS}",
        "2..١.1.",
    ],
)
def test_other_text_is_no_etag_of_a_list_with_a_position(text: str | None) -> None:
    assert ListEtag.parse(text) is None


def test_other_rights_another_length_and_another_mapping_make_another_etag() -> None:
    rights = {
        rights_of(keys, limit, shown_by)
        for keys in (frozenset("a"), frozenset("b"), frozenset("ab"))
        for limit in (1, 2)
        for shown_by in ("", "m")
    }

    assert len(rights) == 12

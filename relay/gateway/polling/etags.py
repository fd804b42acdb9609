"""The etags of polls: they identify what a client holds, so that an answer has only what is new. Pure.

All relay instances make the same etag for the same content, and each understands the etags of the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from bson import Timestamp

from relay.tasks.task import Keys

ETAG_VERSION = "1."
_LIST_ETAG = re.compile(r"2\.([0-9a-f]{32})?\.([0-9]{1,10})\.([0-9]{1,10})\.([0-9a-f]{16})")


def etag_of(shown: Iterable[bytes]) -> str:
    """Return the etag of what a client is shown: a digest of these byte strings in their order, with a version before
    it."""
    return ETAG_VERSION + digest_of(shown)


def digest_of(shown: Iterable[bytes]) -> str:
    """Return the digest of what a client is shown, 32 hex digits."""
    digest = blake2b(digest_size=16)
    for part in shown:
        digest.update(part)
    return digest.hexdigest()


def rights_of(keys: Keys, limit: int, shown_by: str) -> str:
    """Return a digest of the audience keys and of the length with which a list was asked for, and of what names the way
    in which documents are read (`Services.shown_by`): the same keys open other tasks under another mapping."""
    names = "\0".join([str(limit), shown_by, *sorted(keys)])
    return blake2b(names.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class ListEtag:
    """The etag of a list for a client that applies list updates.

    `digest` is that of the list as it was read; it is empty once updates were sent, because no instance can compute the
    digest of what the client holds then. `position` is the cluster time up to which the client was sent every change.
    `rights` is `rights_of` of the list: a list of other rights, of another length or of another mapping is not
    continued. An instance of the relay may have another mapping than the one before it, until both are reloaded.
    """

    digest: str
    position: Timestamp
    rights: str

    def __str__(self) -> str:
        return f"2.{self.digest}.{self.position.time}.{self.position.inc}.{self.rights}"

    @classmethod
    def parse(cls, etag: str | None) -> ListEtag | None:
        """Return the parts of an etag that a client has sent; None if it is no etag of this kind."""
        found = _LIST_ETAG.fullmatch(etag or "")
        if found is None:
            return None
        digest, time, increment, rights = found.groups(default="")
        try:
            return cls(digest, Timestamp(int(time), int(increment)), rights)
        except ValueError:  # a number of more than 32 bits
            return None

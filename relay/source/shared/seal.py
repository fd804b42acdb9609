"""Compress and encrypt the entries of a shared change stream, for a place that others may read. Pure.

A sealed entry is four random bytes, followed by the rest as AES-256-GCM encrypts it. The nonce is the position at which
the entry ends, followed by those four bytes, so it occurs once for each key; and an entry that is moved to another
position is refused. The key of a stream is derived from the given key and the stream's name: streams of several
collections have entries with equal ends.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from struct import Struct, error

from bson import Timestamp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from relay.source.cursor import Witness
from relay.source.shared.entry import Entry

KEY_BYTES = 32
_RANDOM_BYTES = 4
_POSITION = Struct(">II")
_WITNESS = Struct(
    ">III"
)  # the time of the last change (seconds and increment), and the size of its resume token
_LARGEST = 2**29  # bytes of an entry that are accepted; Redis keeps no larger value


class Seal:
    """Seals and opens the entries of the stream `name`.

    The first of `keys` encrypts, and each of them decrypts. Without keys, entries are compressed and not encrypted.
    """

    def __init__(self, keys: Sequence[bytes], name: str) -> None:
        self._ciphers = [
            AESGCM(HKDF(SHA256(), KEY_BYTES, salt=None, info=name.encode()).derive(key)) for key in keys
        ]

    def close(self, entry: Entry, witness: Witness | None) -> bytes:
        """Return an entry in its sealed form, with a change by which the database's history is recognized."""
        time, token = (witness.time, witness.token) if witness is not None else (Timestamp(0, 0), b"")
        head = _WITNESS.pack(time.time, time.inc, len(token))
        packed = zlib.compress(b"".join((head, token, entry.encode())), 1)
        if not self._ciphers:
            return packed
        random = os.urandom(_RANDOM_BYTES)
        return random + self._ciphers[0].encrypt(_nonce(entry.end, random), packed, None)

    def open(self, end: Timestamp, sealed: bytes) -> tuple[Entry, Witness | None]:
        """Return the entry that ends at this position, and its witness. Raises ValueError if it cannot be opened: it is
        damaged or from another place, or was encrypted with another key."""
        packed = self._decrypted(end, sealed) if self._ciphers else sealed
        try:
            unpacking = zlib.decompressobj()
            whole = unpacking.decompress(packed, _LARGEST)
            if not unpacking.eof:
                raise ValueError("an entry is cut off")
            seconds, increment, size = _WITNESS.unpack_from(whole)
        except (zlib.error, error) as failure:
            raise ValueError("an entry cannot be unpacked") from failure
        after = _WITNESS.size + size
        entry = Entry.decode(whole[after:])
        if entry.end != end:
            raise ValueError("an entry has the wrong place")
        return entry, Witness(Timestamp(seconds, increment), whole[_WITNESS.size : after]) if size else None

    def _decrypted(self, end: Timestamp, sealed: bytes) -> bytes:
        random, rest = sealed[:_RANDOM_BYTES], sealed[_RANDOM_BYTES:]
        if len(random) == _RANDOM_BYTES:
            for cipher in self._ciphers:
                try:
                    return cipher.decrypt(_nonce(end, random), rest, None)
                except InvalidTag:
                    continue
        raise ValueError("an entry cannot be decrypted with RELAY_REDIS_KEY")


def _nonce(end: Timestamp, random: bytes) -> bytes:
    return _POSITION.pack(end.time, end.inc) + random

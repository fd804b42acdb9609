"""A client of TLS 1.3 that asks for new keys again and again. Python's `ssl` cannot, so OpenSSL is called itself."""

from __future__ import annotations

import _ssl
import ctypes
import socket
import ssl

import pytest

UPDATE_REQUESTED = 1  # SSL_KEY_UPDATE_REQUESTED: the other end has to answer with new keys of its own
READ_BYTES = 64 * 1024


class RawTls:
    """A TLS connection whose records a test makes before it sends them."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext) -> None:
        self.socket = socket.create_connection(address, 30)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=address[0])
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.socket.sendall(self._outgoing.read())
                self._incoming.write(self.socket.recv(READ_BYTES))

    def flush(self) -> None:
        """Send all records that were made."""
        self.socket.sendall(self._outgoing.read())

    def write(self, data: bytes) -> None:
        """Make a record with this data."""
        self._tls.write(data)

    def ask_for_keys(self, times: int) -> None:
        """Make records that ask for new keys."""
        library = ctypes.CDLL(_ssl.__file__)
        if not hasattr(library, "SSL_key_update"):
            pytest.skip("Python has OpenSSL built in, and its functions cannot be called")
        library.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
        library.SSL_do_handshake.argtypes = [ctypes.c_void_p]
        # PySSLSocket: the head of an object, the socket, and the pointer to OpenSSL's own.
        place = id(self._tls._sslobj) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)  # type: ignore[attr-defined]
        handle = ctypes.c_void_p.from_address(place).value
        for _ in range(times):
            assert library.SSL_key_update(handle, UPDATE_REQUESTED) == 1
            assert library.SSL_do_handshake(handle) == 1

    def received(self) -> bytes:
        """Return what arrives next; nothing if the connection has ended."""
        try:
            while raw := self.socket.recv(READ_BYTES):
                self._incoming.write(raw)
                try:
                    return self._tls.read(READ_BYTES)
                except ssl.SSLWantReadError:
                    continue
        except ConnectionError:
            pass
        return b""

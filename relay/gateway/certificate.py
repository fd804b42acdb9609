"""The certificate with which the relay itself serves TLS (RELAY_TLS_CERT, RELAY_TLS_KEY). Reads files.

Rule of this file: no sentence contains a key or its password.
"""

from __future__ import annotations

import errno
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from relay.config import Settings
from relay.errors import StartupError

EXPIRES_SOON_DAYS = 7


class Certificate:
    """The certificate of the settings, and the TLS context that serves it.

    The constructor reads the files. Raises StartupError if one of them cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.context = _context()
        self._file = settings.relay_tls_cert
        self._served = _load(settings, self.context)

    def check(self, settings: Settings) -> None:
        """Raise StartupError if `reload` could not use the files of these settings."""
        _load(settings, _context())

    def reload(self, settings: Settings) -> bool:
        """Read the files of these settings, and return whether they have another certificate than before. New
        connections are served with it; open ones go on as they are.

        Raises StartupError if a file cannot be used; then the certificate stays the one before."""
        self.check(
            settings
        )  # first in a context of its own, because a failure could leave a half of it in ours
        before, self._served = self._served, _load(settings, self.context)
        self._file = settings.relay_tls_cert
        return self._served != before

    def warning(self) -> str | None:
        """Return a sentence if the certificate has expired or will soon; otherwise None."""
        left = self._served.not_valid_after_utc - datetime.now(UTC)
        if left.days >= EXPIRES_SOON_DAYS:
            return None
        verb = "expired" if left.total_seconds() < 0 else "expires"
        return f"RELAY_TLS_CERT: the certificate in {self._file} {verb} at {self.ends_at}."

    @property
    def ends_at(self) -> str:
        """When the certificate expires, to the minute, for people."""
        return f"{self._served.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"


def certificate_of(settings: Settings) -> Certificate | None:
    """Return the certificate that the settings name; None if the relay serves no TLS. Raises StartupError if it cannot
    be used."""
    return Certificate(settings) if settings.relay_tls_cert is not None else None


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(settings: Settings, context: ssl.SSLContext) -> x509.Certificate:
    """Load the files of the settings into this context, and return the relay's own certificate."""
    chain = settings.relay_tls_cert
    assert chain is not None
    key, given = settings.relay_tls_key or chain, settings.relay_tls_key_password.get_secret_value()
    own = _first(chain)
    _read("RELAY_TLS_KEY", key)
    asked = False

    def password() -> str:  # without a function, OpenSSL would ask on the terminal
        nonlocal asked
        asked = True
        return given

    try:
        context.load_cert_chain(chain, key, password)
    except (ssl.SSLError, ValueError) as failure:
        reason = getattr(failure, "reason", None)
        raise StartupError(_problem(reason, chain, key, asked=asked, has_password=bool(given))) from None
    return own


def _problem(reason: str | None, chain: Path, key: Path, *, asked: bool, has_password: bool) -> str:
    """Return a sentence about why OpenSSL cannot use these files. `asked`: it wanted the password of the key."""
    if reason == "KEY_VALUES_MISMATCH":
        return f"RELAY_TLS_KEY: the key in {key} is not that of the certificate in {chain}."
    if asked and not has_password:
        return f"RELAY_TLS_KEY: the key in {key} is encrypted, and RELAY_TLS_KEY_PASSWORD is not set."
    if asked:
        return f"RELAY_TLS_KEY_PASSWORD: does not decrypt the key in {key}."
    if reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return f"RELAY_TLS_CERT: the certificate in {chain} is too weak for OpenSSL ({reason})."
    return f"RELAY_TLS_KEY: {key} has no private key in PEM that can be used."


def _first(chain: Path) -> x509.Certificate:
    """Return the first certificate of this file; that is the relay's own."""
    try:
        first, *_ = x509.load_pem_x509_certificates(_read("RELAY_TLS_CERT", chain))
    except ValueError:
        raise StartupError(f"RELAY_TLS_CERT: {chain} has no certificate in PEM.") from None
    return first


def _read(name: str, path: Path) -> bytes:
    try:
        # OpenSSL reads the file, too, and a pipe can be read only once.
        kind = path.stat().st_mode
        if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):  # a device may have no end
            raise OSError(errno.ESPIPE, "it is a pipe" if stat.S_ISFIFO(kind) else "it is a device")
        return path.read_bytes()
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or "that is no path"
        raise StartupError(f"{name}: {path} cannot be read ({reason}).") from None

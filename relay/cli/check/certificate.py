"""`relay check`: can the relay serve TLS with the certificate of the settings?"""

from __future__ import annotations

from relay.cli.check.examination import Examination
from relay.cli.check.report import Finding
from relay.errors import StartupError
from relay.gateway.certificate import Certificate


async def ask(examination: Examination) -> None:
    """Read the certificate and its key, and look at when it ends."""
    try:
        certificate = Certificate(examination.settings)
    except StartupError as failure:
        examination.fail(
            "certificate", str(failure).removesuffix("."), "The relay does not start without it."
        )
        return
    warning = certificate.warning()
    if warning is not None:
        text = warning.removesuffix(".")
        examination.add(Finding("certificate", "warning", text, "Renew it, and reload the relay."))
    else:
        examination.add(Finding("certificate", "ok", f"valid until {certificate.ends_at}"))

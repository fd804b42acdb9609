"""Asks the admin API of a running relay over HTTP. Does I/O.

Rule of this file: whatever goes wrong becomes one sentence. The token is in none of them.
"""

from __future__ import annotations

import ssl
from typing import Any

import httpx2

from relay.cli.printable import visible
from relay.errors import StartupError

WITHIN_S = 15.0  # longer than the parent of workers waits for them
RELOADED_WITHIN_S = 100.0  # the relay may have to fetch keys, and to read every list again by another mapping


async def ask(
    address: str, token: str, method: str, path: str, *, within_s: float = WITHIN_S
) -> dict[str, Any]:
    """Send this request to the admin port at `address`, and return the body of the answer, which comes within
    `within_s` seconds.

    Proxies that environment variables name are not used, and redirects are not followed. Raises StartupError, with one
    sentence, if nobody answers or the relay refuses.
    """
    if not token.isascii() or not token.isprintable():
        raise StartupError("The token has characters that no token has.")
    context = ssl.create_default_context() if address.startswith("https:") else False
    try:
        async with httpx2.AsyncClient(verify=context, trust_env=False, timeout=within_s) as client:
            headers = {"Authorization": f"Bearer {token}"}
            response = await client.request(method, address + path, headers=headers)
    except httpx2.TimeoutException:
        raise StartupError(f"{address} does not answer within {within_s:g} s.") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as failure:
        reason = visible(str(failure).rstrip(".")) or type(failure).__name__
        raise StartupError(f"Nobody answers administrators at {address}: {reason}.") from None
    return _checked(address, response)


def _checked(address: str, response: httpx2.Response) -> dict[str, Any]:
    """Return the body of this answer. Raises StartupError if it is a refusal, or not an answer of the admin API."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if response.status_code == 200 and isinstance(body, dict):
        return body
    match body:
        case {"type": "error", "data": {"message": str(said)}}:
            said = visible(said.rstrip("."))
        case _:
            said = ""
    match response.status_code:
        case 401:
            raise StartupError(
                f"The relay at {address} does not accept the token ({said or 'unauthenticated'})."
            )
        case 403 if said:
            raise StartupError(f"The relay at {address} refuses: {said}.")
        case 422:
            raise StartupError(f"The relay at {address} was not reloaded, and goes on as before: {said}.")
        case 404 | 405 | 426:
            raise StartupError(
                f"There is no admin API at {address}: it must be the address of RELAY_ADMIN_PORT, not of the port for "
                "clients."
            )
        case status:
            answered = f"with status {status}" + (f": {said}" if said else "")
            raise StartupError(f"The relay at {address} could not answer, {answered}.")

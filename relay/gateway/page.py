"""The page of tasks, `/`: the file `index.html` of the dashboard, with the settings that the page needs."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from starlette.requests import Request
from starlette.responses import Response

from relay.config import Settings
from relay.gateway.pages import served
from relay.gateway.pages.web_files import Content

# The element of the file that the settings go into. Browsers do not execute it, so the content security policy, which
# allows no inline script, allows it.
OPENING, CLOSING = b'<script type="application/json" id="page-settings">', b"</script>"


def content_security_policy(frame_ancestors: Sequence[str] = ()) -> bytes:
    """Return the policy of a page that loads only the relay's own files, connects only to the relay, and may be shown
    in frames of pages of these origins only."""
    ancestors = " ".join(frame_ancestors) or "'none'"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {ancestors}"
    ).encode()


class Page:
    """Answers with the page. It contains the newest settings given to `use`."""

    def __init__(self, settings: Settings) -> None:
        self._html = served.DASHBOARD.current().html  # built now, and not while somebody waits
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Write these settings into the page from now on."""
        given = {
            "tokenUrl": settings.relay_token_url,
            "signInUrl": settings.relay_sign_in_url,
            "helpUrl": settings.relay_help_url,
        }
        block = orjson.dumps({name: value for name, value in given.items() if value})
        # In a script element, only these characters can begin what ends it. JSON has them only in strings.
        self._block = block.replace(b"<", b"\\u003c")
        self._policy = content_security_policy(settings.relay_frame_ancestors).decode()
        self._content: Content | None = None

    async def answer(self, request: Request) -> Response:
        """Return the page, made of the files as they are now."""
        html = served.DASHBOARD.current().html
        if self._content is None or self._html != html:
            before, opening, rest = html.encode().partition(OPENING)
            _default, closing, after = rest.partition(CLOSING)
            body = b"".join((before, opening, self._block, closing, after))
            self._html, self._content = html, Content(body, "text/html")
        response = self._content.response(request)
        response.headers["content-security-policy"] = self._policy
        return response

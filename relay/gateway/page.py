"""The page of tasks, `/`: the file `index.html` of the dashboard, with the settings that the page needs."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from relay.config import Settings
from relay.gateway.pages import served
from relay.gateway.pages.web_files import Content

# The element of the file that the settings go into. Browsers do not execute it, so the content security policy, which
# allows no inline script, allows it.
OPENING, CLOSING = b'<script type="application/json" id="page-settings">', b"</script>"


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
        self._content: Content | None = None

    async def answer(self, request: Request) -> Response:
        """Return the page, made of the files as they are now."""
        html = served.DASHBOARD.current().html
        if self._content is None or self._html != html:
            before, opening, rest = html.encode().partition(OPENING)
            _default, closing, after = rest.partition(CLOSING)
            body = b"".join((before, opening, self._block, closing, after))
            self._html, self._content = html, Content(body, "text/html")
        return self._content.response(request)

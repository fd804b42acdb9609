"""The page of tasks, `/`: the file `index.html` of the dashboard, with the settings that the page needs."""

from __future__ import annotations

from pathlib import Path

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from relay.config import Settings

FILE = Path(__file__).parent.parent / "web" / "dashboard" / "index.html"
# The element of the file that the settings go into. Browsers do not execute it, so the content security policy, which
# allows no inline script, allows it.
OPENING, CLOSING = b'<script type="application/json" id="page-settings">', b"</script>"


class Page:
    """Answers with the page. It contains the newest settings given to `use`."""

    def __init__(self, settings: Settings) -> None:
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

    async def answer(self, _: Request) -> Response:
        """Return the page. The file is read each time, so that whoever edits it sees the change with a reload."""
        before, opening, rest = FILE.read_bytes().partition(OPENING)
        _default, closing, after = rest.partition(CLOSING)
        return HTMLResponse(b"".join((before, opening, self._block, closing, after)))

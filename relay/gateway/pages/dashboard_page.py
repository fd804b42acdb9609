"""The page of the dashboard as it is sent: its modules in one script and its style sheets in one, at addresses that a
browser need never ask for again."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.gateway.pages.joined_modules import NotJoinable, joined
from relay.gateway.pages.web_files import IMMUTABLE, NO_CACHE, Content, Stamp, WebFiles
from relay.gateway.paths import rest_of

log = logging.getLogger(__name__)

FOLDERS = ("client", "view", "inspector", "dashboard")  # what the page consists of
HTML = "dashboard/index.html"
SCRIPT = "dashboard/app.js"
STYLE = "dashboard/style.css"  # the address of all style sheets together
ICONS = "dashboard/icons.svg"

_STYLE_SHEET = re.compile(r'^ *<link rel="stylesheet" href="([^"]+)">\n', re.MULTILINE)
_MODULE_PRELOAD = re.compile(r'^ *<link rel="modulepreload"[^>]*>\n', re.MULTILINE)
_ADDRESS = re.compile(r'\b(href|src)="(dashboard/[^"]+)"')


@dataclass(frozen=True, slots=True)
class Built:
    """The page, built from files of one moment. `digest` names all they contain. `assets` are the contents that are
    served at addresses with the digest; they lie to one another as the files do."""

    html: str = ""
    digest: str = ""
    assets: Mapping[str, Content] = field(default_factory=dict)


class DashboardPage:
    """The page, built again when a file has changed. Who edits a module needs no build: the next visit has it."""

    def __init__(self, files: WebFiles) -> None:
        self._files = files
        self._stamps: Mapping[str, Stamp] = {}
        self._built = Built()

    def current(self) -> Built:
        """Return the page as the files are now."""
        stamps = self._files.look()
        if stamps != self._stamps:
            names = [name for name in sorted(stamps) if name.partition("/")[0] in FOLDERS]
            files = {name: self._files.get(name) for name in names}
            self._built = built({name: content for name, content in files.items() if content is not None})
            self._stamps = stamps
        return self._built

    def route(self) -> Route:
        """Return the route to what the page loads.

        A browser may ask for another digest while relays of two versions serve one address. It gets what there is now,
        and asks again the next time.
        """

        async def asset(request: Request) -> Response:
            now = self._built
            content = now.assets.get(request.path_params["name"])
            if content is None:
                raise HTTPException(404)
            is_its_own = request.path_params["digest"] == now.digest
            return content.response(request, IMMUTABLE if is_its_own else NO_CACHE)

        return Route(rest_of("/assets/{digest}", "name"), asset)


def built(files: Mapping[str, Content]) -> Built:
    """Build the page from these files. If its modules cannot be joined, the page loads them one by one."""
    digest = blake2b(digest_size=12)
    for name, content in files.items():
        digest.update(f"{name} {content.tag}\n".encode())
    html = files[HTML].body.decode()
    modules = {name: content.body.decode() for name, content in files.items() if name.endswith(".js")}
    try:
        script = joined(modules, SCRIPT, sources="../../../")
    except NotJoinable as trouble:
        log.warning("the dashboard loads its modules one by one: %s", trouble)
        return Built(html, digest.hexdigest(), files)
    source_map = Content(script.source_map.encode(), "application/json")
    code = script.script + f"//# sourceMappingURL={SCRIPT.rpartition('/')[2]}.map\n"
    style = b"\n".join(files[name].body for name in _STYLE_SHEET.findall(html))
    together = {
        SCRIPT: Content(code.encode(), "text/javascript"),
        f"{SCRIPT}.map": source_map,
        STYLE: Content(style, "text/css"),
    }
    for content in together.values():
        content.compressed()  # now, and not while somebody waits
    return Built(arranged(html, f"assets/{digest.hexdigest()}/"), digest.hexdigest(), {**files, **together})


def arranged(html: str, base: str) -> str:
    """Return the HTML of the page for its parts in few files below `base`: the icons, which the style sheet names, are
    loaded at once and not after it."""
    icons = f'  <link rel="preload" as="image" href="{ICONS}" crossorigin>\n'
    first = iter([f'  <link rel="stylesheet" href="{STYLE}">\n{icons}'])
    html = _STYLE_SHEET.sub(lambda _: next(first, ""), _MODULE_PRELOAD.sub("", html))
    return _ADDRESS.sub(rf'\1="{base}\2"', html)

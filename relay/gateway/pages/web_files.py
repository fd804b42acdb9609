"""Files of `relay/web` as HTTP responses: compressed once, with an entity tag, and read again when they change."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.gateway.paths import rest_of

# A browser asks each time whether it has the latest. Where it has, the answer is 304 and has no body.
NO_CACHE = "no-cache"
# A browser never asks again: what is served at such an address never changes.
IMMUTABLE = "public, max-age=31536000, immutable"
# By suffix, because the tables of the operating system differ.
MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_REFUSED = re.compile(r"\s*q\s*=\s*0(\.0{0,3})?\s*")

Stamp = tuple[int, int]  # the time of the last change in ns, and the size: another one means another content


class Content:
    """What is served at an address. It never changes."""

    def __init__(self, body: bytes, media_type: str) -> None:
        self.body = body
        self.media_type = media_type
        self._compressed: bytes | None = None
        # A weak one: the compressed body has other bytes.
        self.tag = f'W/"{blake2b(body, digest_size=12).hexdigest()}"'

    def compressed(self) -> bytes:
        """Return the body compressed by gzip. Only the first call compresses it."""
        if self._compressed is None:
            self._compressed = gzip.compress(self.body, mtime=0)
        return self._compressed

    def response(self, request: Request, cache_control: str = NO_CACHE) -> Response:
        """Return the response to a GET or HEAD request: compressed where the client accepts that, and 304 without a
        body where the client has it."""
        headers = {"etag": self.tag, "cache-control": cache_control, "vary": "Accept-Encoding"}
        if _knows(request, self.tag):
            return Response(status_code=304, headers=headers)
        if _accepts_gzip(request) and len(self.compressed()) < len(self.body):
            headers["content-encoding"] = "gzip"
            return Response(self.compressed(), headers=headers, media_type=self.media_type)
        return Response(self.body, headers=headers, media_type=self.media_type)


class WebFiles:
    """The files in some folders of a directory. A file that is edited is served as it is now; one that is added is
    known after the next `look`."""

    def __init__(self, root: Path, folders: Sequence[str]) -> None:
        self._root = root
        self._folders = folders
        self._stamps: dict[str, Stamp] = {}
        self._read: dict[str, tuple[Stamp, Content]] = {}

    def look(self) -> Mapping[str, Stamp]:
        """Look which files there are, and return their stamps by their paths, as `client/index.js`."""
        stamps = {}
        for folder in self._folders:
            for where, _, names in os.walk(self._root / folder):
                within = Path(where).relative_to(self._root).as_posix()
                for name in names:
                    stamp = _stamp(f"{where}/{name}")
                    if stamp is not None:
                        stamps[f"{within}/{name}"] = stamp
        self._stamps = stamps
        return stamps

    def get(self, name: str) -> Content | None:
        """Return the content of a file; None if there is no such file. Only names that were found by looking are
        opened, so no name leads out of the folders."""
        if not self._stamps:
            self.look()
        stamp = _stamp(str(self._root / name)) if name in self._stamps else None
        if stamp is None:
            return None
        read = self._read.get(name)
        if read is None or read[0] != stamp:
            media_type = MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream")
            read = self._read[name] = stamp, Content((self._root / name).read_bytes(), media_type)
        return read[1]

    def route(self, path: str, folder: str) -> Route:
        """Return a route to the files of one folder under a path, as `/client`."""

        async def file(request: Request) -> Response:
            content = self.get(f"{folder}/{request.path_params['name']}")
            if content is None:
                raise HTTPException(404)
            return content.response(request)

        return Route(rest_of(path, "name"), file)


def _stamp(path: str) -> Stamp | None:
    """Return the stamp of a file; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _knows(request: Request, tag: str) -> bool:
    """Return whether the client has the content with this tag."""
    tags = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    return "*" in tags or tag.removeprefix("W/") in [each.removeprefix("W/") for each in tags]


def _accepts_gzip(request: Request) -> bool:
    for each in request.headers.get("accept-encoding", "").split(","):
        coding, _, quality = each.partition(";")
        if coding.strip().lower() == "gzip":
            return not _REFUSED.fullmatch(quality)
    return False

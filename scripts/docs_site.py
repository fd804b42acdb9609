"""A hook of MkDocs: shows files from outside docs/ as pages, mends links between them, and allows no foreign requests.

Links in the files lead from where the files lie in the repository, so that they work on a forge. Here each of them is
turned into a link to the page or image that the site shows for that file. What the site does not show (a folder of
source code) becomes a link to the repository where `repo_url` is set, and plain text otherwise.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.plugins.docs_site")

ROOT = Path(__file__).parents[1]
SHOWN = {
    "README.md": "index.md",
    "relay/PROTOCOL.md": "reference/protocol.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "CHANGELOG.md": "project/changelog.md",
} | {f".github/{image.name}": f"images/{image.name}" for image in (ROOT / ".github").glob("*.[ps][nv]g")}

LINK = re.compile(r"(?P<text>!?\[(?:[^\[\]]|\[[^\]]*\])*\])\((?P<target>[^()\s]+)\)")
IMAGE = re.compile(r'(?P<name>src|srcset)="(?P<target>[^"]+)"')
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
# A tag that makes a browser load something from another host. A canonical or neighbouring page is not loaded.
FOREIGN = re.compile(
    r'<(?:link\b(?![^>]*\brel="(?:canonical|prev|next|alternate)")|script|img|source|iframe)\b'
    r'[^>]*\b(?:href|src|srcset)="(?:https?:)?//[^"]*"'
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, shown in SHOWN.items():
        files.append(File.generated(config, shown, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    lies_at = next((source for source, shown in SHOWN.items() if shown == page.file.src_uri), None)
    lies_in = posixpath.dirname(lies_at or f"docs/{page.file.src_uri}")

    def link(found: re.Match[str]) -> str:
        text, target = found["text"], found["target"]
        mended = _mended(target, lies_in, page, config)
        return f"{text}({mended})" if mended else text.removeprefix("!")[1:-1]

    def image(found: re.Match[str]) -> str:
        mended = _mended(found["target"], lies_in, page, config)
        return f'{found["name"]}="{mended}"'

    return _outside_fences(markdown, lambda text: IMAGE.sub(image, LINK.sub(link, text)))


def _mended(target: str, lies_in: str, page: Page, config: MkDocsConfig) -> str | None:
    """The target of a link as the site needs it; None where the site shows no such file."""
    path, hash_, anchor = target.partition("#")
    if not path or re.match(r"[a-z]+:", path):
        return target
    meant = posixpath.normpath(posixpath.join(lies_in, path))
    if meant in SHOWN or meant.startswith("docs/"):
        shown = SHOWN.get(meant, meant.removeprefix("docs/"))
        return posixpath.relpath(shown, posixpath.dirname(page.file.src_uri) or ".") + hash_ + anchor
    if not (ROOT / meant).exists():
        log.warning("%s: nothing lies at %s", page.file.src_uri, target)
    return f"{config.repo_url.rstrip('/')}/blob/HEAD/{meant}{hash_}{anchor}" if config.repo_url else None


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    """The text with what is outside of fenced code changed."""
    parts, at = [], 0
    for code in FENCED.finditer(markdown):
        parts += [change(markdown[at : code.start()]), code[0]]
        at = code.end()
    return "".join([*parts, change(markdown[at:])])


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> None:
    """Warn, which ends a strict build, where a page loads something from another host."""
    for found in FOREIGN.finditer(output):
        log.warning("%s loads from elsewhere: %s", page.file.src_uri, found[0])

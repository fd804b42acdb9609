"""Joins ES modules into one script that does the same, so that a page need not fetch them one by one. Pure.

This is no general bundler. It knows the statements that the modules of `relay/web` use, each at the beginning of a
line, and refuses every other one: what is joined does what the modules do. A module becomes a function that returns its
exports, and its lines stay lines, so a source map needs one entry for each.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_NAMES = r"\{(?P<names>[^{}]*)\}"
_FROM = r'\s+from\s+"(?P<source>[^"\n]+)";'
_STATEMENT = re.compile(r"^(?:import|export)\b", re.MULTILINE)
_IMPORT_NAMES = re.compile(rf"import {_NAMES}{_FROM}")
_IMPORT_ALL = re.compile(rf"import \* as (?P<name>\w+){_FROM}")
_IMPORT_EFFECTS = re.compile(r'import "(?P<source>[^"\n]+)";')
_EXPORT_FROM = re.compile(rf"export {_NAMES}{_FROM}")
_EXPORT_NAMES = re.compile(rf"export {_NAMES};")
_EXPORT_DECLARED = re.compile(r"export (?=(?:async )?(?:function|class|const) (?P<name>\w+))")
_VARIABLE = re.compile(r"^(?:let|var) (\w+)", re.MULTILINE)
_LINE_COMMENT = re.compile(r"^[ \t]*//.*$", re.MULTILINE)
_BLOCK_COMMENT = re.compile(r"^[ \t]*/\*(?:(?!\*/).)*\*/[ \t]*$", re.MULTILINE | re.DOTALL)
_WAITING = re.compile(r"^(?:(?:const|let|var) [^\n]*=\s*)?(?:for )?await\b", re.MULTILINE)
_ANY_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_OWN_ADDRESS = re.compile(r"\bimport\s*[.(]")


class NotJoinable(ValueError):
    """A module has a statement that this module does not know. The message names the module and the statement."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The text of the script, and of its source map."""

    script: str
    source_map: str


def joined(modules: Mapping[str, str], entry: str, *, sources: str = "") -> Joined:
    """Join the module `entry` and all that it imports, directly or through others.

    `modules` are the texts of modules by their paths, as `dashboard/app.js`. The script has to be served from a folder
    beside which the other folders are served, as that of `entry` is: addresses that modules of this folder make from
    their own stay right. `sources` leads from the address of the source map to the folder that the paths begin at.
    Raises `NotJoinable`.
    """
    joining = _Joining(modules, posixpath.dirname(entry))
    joining.add(entry)
    lines, sections = [], []
    for number, (name, module) in enumerate(joining.done.items()):
        lines.append(f"const {_variable(number)} = (() => {{ // {name}")
        body = module.text.removesuffix("\n").split("\n")
        mapped = ";".join(["AAAA"] + ["AACA"] * (len(body) - 1))
        sections.append(
            {
                "offset": {"line": len(lines), "column": 0},
                "map": {"version": 3, "sources": [sources + name], "names": [], "mappings": mapped},
            }
        )
        lines += body
        exports = ", ".join(f"{name}: {value}" for name, value in module.exports.items())
        lines.append(f"return {{ {exports} }}; }})();")
    return Joined("\n".join(lines) + "\n", json.dumps({"version": 3, "sections": sections}))


@dataclass(slots=True)
class _Module:
    """A module as the body of a function, and what it returns: names of exports, and expressions of their values."""

    text: str = ""
    exports: dict[str, str] = field(default_factory=dict)


class _Joining:
    """The modules that have been joined so far, in the order in which they run."""

    def __init__(self, modules: Mapping[str, str], folder: str) -> None:
        self._modules = modules
        self._folder = folder
        self._under_way: set[str] = set()
        self.done: dict[str, _Module] = {}

    def add(self, name: str) -> None:
        """Join a module, behind all that it imports."""
        if name in self.done:
            return
        if name in self._under_way:
            raise NotJoinable(f"{name} imports itself through other modules")
        if name not in self._modules:
            raise NotJoinable(f"{name} is imported, and is no module here")
        self._under_way.add(name)
        text = without_comments(self._modules[name])
        if _WAITING.search(text):
            raise NotJoinable(f"{name} waits before it has run")
        if posixpath.dirname(name) != self._folder and _OWN_ADDRESS.search(_ANY_COMMENT.sub("", text)):
            raise NotJoinable(f"{name} depends on its own address")
        module, variables = _Module(), set(_VARIABLE.findall(text))
        parts, end = [], 0
        for statement in _STATEMENT.finditer(text):
            match, replacement = self._translated(name, text, statement.start(), module)
            parts += [text[end : match.start()], replacement, "\n" * match[0].count("\n")]
            end = match.end()
        module.text = "".join([*parts, text[end:]])
        if changing := variables & set(module.exports.values()):
            raise NotJoinable(f"{name} exports the variable {min(changing)}, which may change")
        self.done[name] = module

    def _translated(self, name: str, text: str, at: int, module: _Module) -> tuple[re.Match[str], str]:
        """Return the import or export statement at a place, and what stands for it. Adds what it exports."""
        if match := _IMPORT_NAMES.match(text, at):
            source = self._imported(name, match["source"])
            names = [f"{there}: {here}" for there, here in self._pairs(match["names"], name, match["source"])]
            return match, f"const {{ {', '.join(names)} }} = {source};"
        if match := _IMPORT_ALL.match(text, at):
            return match, f"const {match['name']} = {self._imported(name, match['source'])};"
        if match := _IMPORT_EFFECTS.match(text, at):
            self._imported(name, match["source"])
            return match, ""
        if match := _EXPORT_FROM.match(text, at):
            source = self._imported(name, match["source"])
            for there, here in self._pairs(match["names"], name, match["source"]):
                module.exports[here] = f"{source}.{there}"
            return match, ""
        if match := _EXPORT_NAMES.match(text, at):
            module.exports.update((there, here) for here, there in _renamed(match["names"]))
            return match, ""
        if match := _EXPORT_DECLARED.match(text, at):
            module.exports[match["name"]] = match["name"]
            return match, ""
        raise NotJoinable(f"{name} has a statement of another form: {text[at:].splitlines()[0]}")

    def _imported(self, name: str, source: str) -> str:
        """Join the module that another imports, and return the variable of its exports."""
        path = self._path(name, source)
        self.add(path)
        return _variable(list(self.done).index(path))

    def _pairs(self, names: str, name: str, source: str) -> Iterator[tuple[str, str]]:
        """Yield names in the module that is imported, and their names here."""
        exports = self.done[self._path(name, source)].exports
        for there, here in _renamed(names):
            if there not in exports:
                raise NotJoinable(f"{name} imports {there}, which {source} does not export")
            yield there, here

    def _path(self, name: str, source: str) -> str:
        if not source.startswith(("./", "../")):
            raise NotJoinable(f"{name} imports {source}, which is no relative address")
        return posixpath.normpath(posixpath.join(posixpath.dirname(name), source))


def _variable(number: int) -> str:
    return f"__module_{number}"


def _renamed(names: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of `a, b as c`: (a, a) and (b, c)."""
    for each in filter(None, (part.strip() for part in names.split(","))):
        before, _, after = each.partition(" as ")
        yield before.strip(), (after or before).strip()


def without_comments(text: str) -> str:
    """Return a module without the comments that have lines of their own, which are two fifths of what is sent; the
    lines stay, empty. A module with a text that goes over several lines is returned as it is, because such a text may
    contain what looks like a comment."""
    bare = text
    for comment in (_BLOCK_COMMENT, _LINE_COMMENT):
        bare = comment.sub(lambda match: "\n" * match[0].count("\n"), bare)
    return text if any(line.count("`") % 2 for line in bare.split("\n")) else bare

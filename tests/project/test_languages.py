"""The texts of the dashboard: the same in every language file, each used, and none outside of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

DASHBOARD = Path(__file__).parents[2] / "relay" / "web" / "dashboard"
LANGUAGES = sorted(path.stem for path in (DASHBOARD / "languages").glob("*.js"))
PLACE = re.compile(r"\{(\w+)\}")
# The calls of `say` and `canSay`: with a text's whole key, or with the beginning of several keys.
WHOLE = re.compile(r'(?:\b[sS]ay\(|data-say(?:-\w+)?=)"([\w.-]+)"')
BEGINNING = re.compile(r"\b[sS]ay\(`([\w.-]+)\$\{")

Texts = dict[str, Any]


@pytest.fixture(scope="module")
def texts() -> dict[str, Texts]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    script = "".join(f'import {{ {name} }} from "{DASHBOARD}/languages/{name}.js";' for name in LANGUAGES)
    script += f"console.log(JSON.stringify({{ {', '.join(LANGUAGES)} }}))"
    done = subprocess.run(
        (node, "--input-type=module", "-e", script), capture_output=True, text=True, timeout=60, check=True
    )
    found: dict[str, Texts] = json.loads(done.stdout)
    return found


def forms_of(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else list(text.values())


def sources() -> list[str]:
    """The modules and the HTML of the page, without comments."""
    texts = [path.read_text("utf-8") for path in (*DASHBOARD.glob("*.js"), DASHBOARD / "index.html")]
    return [re.sub(r"(?m)^\s*(?://|/?\*).*$", "", text) for text in texts]


@pytest.mark.parametrize("name", [name for name in LANGUAGES if name != "en"])
def test_a_language_has_each_text_with_its_places(texts: dict[str, Texts], name: str) -> None:
    assert list(texts[name]) == list(texts["en"]), "the same keys, in the same order"
    for key, text in texts["en"].items():
        wanted = {place for form in forms_of(text) for place in PLACE.findall(form)}
        for form in forms_of(texts[name][key]):
            # The form for one may say "one" where the others have the number.
            assert wanted - set(PLACE.findall(form)) <= {"count"}, key
            assert set(PLACE.findall(form)) <= wanted, key
        assert isinstance(text, str) == isinstance(texts[name][key], str), key


@pytest.mark.parametrize("name", LANGUAGES)
def test_no_text_of_a_language_is_empty(texts: dict[str, Texts], name: str) -> None:
    for key, text in texts[name].items():
        assert all(form.strip() == form != "" for form in forms_of(text)), key
        assert isinstance(text, str) or "other" in text, key


def test_each_text_that_the_page_says_exists_and_each_is_said(texts: dict[str, Texts]) -> None:
    whole = {key for source in sources() for key in WHOLE.findall(source)}
    beginnings = {key for source in sources() for key in BEGINNING.findall(source)}
    known = set(texts["en"])

    assert whole - known == set(), "said, but not in languages/en.js"
    assert {start for start in beginnings if not any(key.startswith(start) for key in known)} == set()
    unused = {key for key in known - whole if not any(key.startswith(start) for start in beginnings)}
    assert unused == set(), "in languages/en.js, but never said"


LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`')
# Two words in a row, or one word that begins like a sentence. A place in a template is `$`.
PROSE = re.compile(r"[^\W\d_]{2,}[,;:.]? (?:[^\W\d_]+|\$)|\$ [^\W\d_]{2,}|^[A-Z][a-z]+$")
CODE = re.compile(r"^relay\.|^[.#:*\[(]|, \.|> |\[[a-z]")
# What stands before a literal that nobody reads: selectors, class names, errors for programmers, comparisons.
NOT_SHOWN = re.compile(
    r"(?:(?:find|querySelector|querySelectorAll|closest|matches|matchMedia|Error|startsWith|getElementById)\("
    r"|(?:className|rel|cssText|authorization|accept)(?: =|:)|[=!]==) *$"
)
NAMES = {
    *("ArrowDown", "ArrowLeft", "ArrowRight", "ArrowUp", "End", "Enter", "Escape", "Home", "Notification"),
    "Highlight",  # the class of browsers
    *("WebSocket", "signed in", "chunk in-sight"),
}


class WrittenTexts(HTMLParser):
    """Finds the texts that are written in HTML itself: between its elements, and in attributes that people read."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        read = dict(attrs)
        for name in ("title", "aria-label", "placeholder", "alt"):
            self._note(read.get(name) or "")
        if tag not in ("meta", "link", "input", "br", "img"):
            self._open.append((tag, read))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag, attributes = self._open[-1] if self._open else ("", {})
        # The title is replaced at once; keys and examples of a search are the same in all languages.
        if tag not in ("title", "kbd", "script") and "data-example" not in attributes:
            self._note(data)

    def _note(self, text: str) -> None:
        if re.search(r"[^\W\d_]", text):
            self.found.append(text.strip())


def texts_in(module: str) -> list[str]:
    """The literals of a module that people may read."""
    code = re.sub(r"(?m)^\s*(?://|/?\*).*$|\s//.*$", "", module)
    found = []
    for literal in LITERAL.finditer(code):
        text = re.sub(r"\$\{[^}]*\}", "$", literal[0][1:-1])
        is_shown = PROSE.search(text) and not CODE.search(text) and text not in NAMES
        if is_shown and not NOT_SHOWN.search(code[max(0, literal.start() - 60) : literal.start()]):
            found.append(text)
    return found


def test_the_search_for_texts_in_a_module_finds_those_that_people_read() -> None:
    assert texts_in(
        """
        import { find } from "./dom.js"; // "not this one"
        find(".task-title, .creator h2").className = "button copy";
        if (!found) throw new Error("the page has no such thing");
        setText(element, count === 1 ? "One event" : `${count} new events`);
        button.title = "Copy"; label = `Next try in ${seconds} s`; key = `duration.${unit}`;
        say("timeline.new", { count }); matchMedia("(prefers-reduced-motion: reduce)");
        """
    ) == ["One event", "$ new events", "Copy", "Next try in $ s"]


def test_no_text_of_the_page_lies_outside_of_the_language_files() -> None:
    page = WrittenTexts()
    page.feed((DASHBOARD / "index.html").read_text("utf-8"))
    assert page.found == []
    found = {path.name: texts_in(path.read_text("utf-8")) for path in sorted(DASHBOARD.glob("*.js"))}
    assert {name: texts for name, texts in found.items() if texts} == {}

"""The texts of the dashboard: the same in every language file, each used, and none outside of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
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

"""Joining ES modules: what is joined does what the modules do, and what is not understood is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from relay.gateway.pages.dashboard_page import SCRIPT, built
from relay.gateway.pages.joined_modules import NotJoinable, joined, without_comments
from relay.gateway.pages.served import FILES, WEB

ENTRY = "page/app.js"


def modules_of_the_page() -> dict[str, str]:
    folders = ("client", "view", "inspector", "dashboard")
    paths = [path for folder in folders for path in (WEB / folder).rglob("*.js")]
    return {path.relative_to(WEB).as_posix(): path.read_text("utf-8") for path in paths}


def answer_of(script: str) -> object:
    """Run a script as a module in Node, and return what it has set as `answer`."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    script += "\nconsole.log(JSON.stringify(globalThis.answer));"
    ran = subprocess.run(
        [node, "--input-type=module", "-"], input=script, capture_output=True, text=True, timeout=100
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_joined_modules_do_what_the_modules_do() -> None:
    modules = {
        ENTRY: """// The page.
import { double, Pair as Two } from "../lib/index.js";
import * as all from "../lib/index.js";
import "./effect.js";
import {
  limit,
} from "./limit.js";

globalThis.answer = [double(limit), new Two(1, 2).sum, Object.keys(all).sort(), globalThis.order, `
import { nothing } from "./nowhere.js";`.length];
""",
        "page/effect.js": "globalThis.order.push('effect');\n",
        "page/limit.js": "globalThis.order = ['limit'];\nconst limit = 21;\nexport { limit };\n",
        "lib/index.js": """export { Pair } from "./parts/pair.js";
export { twice as double } from "./parts/twice.js";
""",
        "lib/parts/pair.js": """
import { limit as most } from "../../page/limit.js";
export class Pair {
  #both;
  constructor(...both) { this.#both = both; }
  /** The sum, at most the limit. */
  get sum() { return Math.min(most, this.#both[0] + this.#both[1]); }
}
""",
        "lib/parts/twice.js": "const limit = 2; // another one\nexport function twice(n) { return limit * n; }\n",
    }
    # A text that looks like a statement is refused, and without it
    with pytest.raises(NotJoinable):
        joined(modules, ENTRY)
    modules[ENTRY] = modules[ENTRY].replace('`\nimport { nothing } from "./nowhere.js";`', "`\n  import`")
    # the script gives what the modules give, in their order.
    assert answer_of(joined(modules, ENTRY).script) == [42, 3, ["Pair", "double"], ["limit", "effect"], 9]


def test_the_modules_of_the_page_are_joined_and_the_script_is_one_that_a_browser_reads(
    tmp_path: Path,
) -> None:
    FILES.look()
    files = {name: FILES.get(name) for name in FILES.look() if not name.startswith(("admin/", "react/"))}
    page = built({name: content for name, content in files.items() if content is not None})
    assert f'src="assets/{page.digest}/{SCRIPT}"' in page.html
    assert "modulepreload" not in page.html
    script = tmp_path / "app.mjs"
    script.write_bytes(page.assets[SCRIPT].body)
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    ran = subprocess.run([node, "--check", script], capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("entry", ["client/index.js", "view/index.js"])
def test_a_joined_library_has_the_exports_of_its_modules(entry: str) -> None:
    script = joined(modules_of_the_page(), entry).script
    last = re.findall(r"^const (\w+) = \(\(\) => \{ // ", script, re.MULTILINE)[-1]
    real = f'import * as real from "{(WEB / entry).as_uri()}";\n'
    kinds = "globalThis.answer = Object.entries(%s).map(([name, value]) => [name, typeof value]).sort();"
    assert answer_of(script + kinds % last) == answer_of(real + kinds % "real")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ('import thing from "./other.js";', "another form"),
        ('export * from "./other.js";', "another form"),
        ("export default 1;", "another form"),
        ("export let count = 0;", "another form"),
        ("export const { a, b } = {};", "another form"),
        ("let count = 0;\nexport { count };", "may change"),
        ('import { missing } from "./other.js";', "does not export"),
        ('import { one } from "/page/other.js";', "no relative address"),
        ('import { one } from "./nowhere.js";', "no module here"),
        ('import { one } from "./round.js";', "imports itself"),
        ("const text = await fetch('text');", "waits"),
        ("await start();", "waits"),
    ],
)
def test_a_statement_that_cannot_be_joined_is_refused(statement: str, said: str) -> None:
    others = {
        "page/other.js": "export const one = 1;\n",
        "page/round.js": 'import { two } from "./app.js";\nexport const one = two;\n',
    }
    with pytest.raises(NotJoinable, match=said):
        joined({ENTRY: f"{statement}\n", **others}, ENTRY)


def test_a_module_of_another_folder_must_not_depend_on_its_own_address() -> None:
    own = "export const icon = () => new URL('icon.svg', import.meta.url);\n"
    entry = 'import { icon } from "./other.js";\n'
    assert "import.meta.url" in joined({ENTRY: entry, "page/other.js": own}, ENTRY).script
    with pytest.raises(NotJoinable, match="its own address"):
        joined({ENTRY: entry.replace("./", "../lib/"), "lib/other.js": own}, ENTRY)


def test_the_source_map_leads_each_line_to_its_place() -> None:
    modules = modules_of_the_page()
    result = joined(modules, SCRIPT, sources="../")
    lines = result.script.splitlines()
    for section in json.loads(result.source_map)["sections"]:
        (source,) = section["map"]["sources"]
        own = modules[source.removeprefix("../")].splitlines()
        assert section["map"]["mappings"].count(";") == len(own) - 1
        first = section["offset"]["line"]
        for number, line in enumerate(own):
            made = lines[first + number]
            assert made in (line, "", line.removeprefix("export ")) or made.startswith("const {"), line


def test_comments_are_left_out_and_lines_stay() -> None:
    text = "// One\n/**\n * Two\n */\nconst a = `// ${3}`; // four\n  /* five */\n"
    assert without_comments(text) == "\n\n\n\nconst a = `// ${3}`; // four\n\n"
    cast = "/** @type {Row} */ (row).focus();\n/** Five */\nconst b = 1;\n"
    assert without_comments(cast) == "/** @type {Row} */ (row).focus();\n\nconst b = 1;\n"
    long = "const a = `\n// a text\n`;\n// a comment\n"
    assert without_comments(long) == long


def test_code_behind_a_comment_and_before_the_next_stays() -> None:
    text = "/** @type {A} */ (a).b();\nc(); /* d */\n/* e */\n"
    assert without_comments(text) == "/** @type {A} */ (a).b();\nc(); /* d */\n\n"

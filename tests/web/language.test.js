// The language of the dashboard: which one is chosen, and how its texts are filled in.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

const MODULE = new URL("../../relay/web/dashboard/language.js", import.meta.url).href;

/** Runs a statement on a page with this address and these languages of the browser, and returns what it logs. */
function onPage(search, languages, statement) {
  const script = `
    globalThis.location = { search: ${JSON.stringify(search)} };
    Object.defineProperty(globalThis, "navigator", { value: { languages: ${JSON.stringify(languages)} } });
    const page = await import(${JSON.stringify(MODULE)});
    console.log(JSON.stringify(${statement}));`;
  const done = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  assert.equal(done.stderr, "");
  return JSON.parse(done.stdout);
}

for (const [search, languages, language, locale] of [
  ["", ["de-AT", "en"], "de", "de-AT"],
  ["", ["fr-FR", "de-CH", "en-US"], "de", "de-CH"],
  ["", ["fr-FR"], "en", "en"],
  ["", [], "en", "en"],
  ["?lang=de", ["en-GB"], "de", "de"],
  ["?lang=en", ["de-DE", "en-GB"], "en", "en-GB"],
  ["?q=1&lang=DE", ["en-GB"], "de", "de"],
  ["?lang=constructor", ["en-GB"], "en", "en-GB"],
  ["", ["en-US@posix"], "en", "en-US"], // Chromium on a Linux whose locale is POSIX
  ["", ["C", "de_AT@euro", "", "en_US.UTF-8"], "de", "de-AT"],
  ["", ["C"], "en", "en"],
]) {
  test(`${search || "no wish"} and ${languages.join(", ") || "nothing"} give ${locale}`, () => {
    assert.deepEqual(onPage(search, languages, "[page.language, page.locale]"), [language, locale]);
  });
}

test("a text that does not exist is an error, so that tests find it", () => {
  assert.throws(() => onPage("", [], 'page.say("constructor")'));
});

test("what can be said are the texts of the page only", () => {
  assert.deepEqual(onPage("", [], '["title", "toString", "other"].map(page.canSay)'), [true, false, false]);
});

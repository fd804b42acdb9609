// Addresses and digests in texts of documents.

import assert from "node:assert/strict";
import test from "node:test";
import { partsOf } from "../../relay/web/view/links.js";

/** The parts of a text in short: `<address>`, `{digest}`, and text as it is. */
function shown(text) {
  return partsOf(text).map((part) => {
    if (part.href !== undefined) return `<${part.text}>`;
    return part.short === undefined ? part.text : `{${part.short}}`;
  }).join("");
}

const SHA1 = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

for (const [text, expected] of [
  ["", ""],
  ["nothing here", "nothing here"],
  ["see https://example.com/a?b=c#d now", "see <https://example.com/a?b=c#d> now"],
  ["HTTP://EXAMPLE.COM", "<HTTP://EXAMPLE.COM>"],
  ["https://a.example, https://b.example.", "<https://a.example>, <https://b.example>."],
  ["(see https://example.com/a_(b)).", "(see <https://example.com/a_(b)>)."],
  ["[it](https://example.com/x)!", "[it](<https://example.com/x>)!"],
  ['"https://example.com" <https://example.com>', '"<https://example.com>" <<https://example.com>>'],
  ["„https://example.com“, «https://example.com»", "„<https://example.com>“, «<https://example.com>»"],
  ["参见 https://example.com/页。好", "参见 <https://example.com/页>。好"],
  ["مرحبا https://example.com/a مرحبا", "مرحبا <https://example.com/a> مرحبا"],
  ["https://example.com/\u202Emoc.live", "<https://example.com/>\u202Emoc.live"],
  ["javascript:alert(1) data:text/html,x ftp://example.com", "javascript:alert(1) data:text/html,x ftp://example.com"],
  ["https:// http://", "https:// http://"],
  ["xhttps://example.com", "xhttps://example.com"],
  ["https://bank.example@evil.example/", "https://bank.example@evil.example/"],
  ["https://[half", "https://[half"],
  [`commit ${SHA1}, tree`, "commit {4b825dc}, tree"],
  [`sha256:${SHA256}`, "sha256:{e3b0c44}"],
  [SHA1.toUpperCase(), "{4B825DC}"],
  [`${SHA1}0 x${SHA1} ${SHA1}z`, `${SHA1}0 x${SHA1} ${SHA1}z`],
  ["1".repeat(40), "1".repeat(40)],
  [`https://example.com/commit/${SHA1}`, `<https://example.com/commit/${SHA1}>`],
]) {
  test(`addresses and digests are found in ${JSON.stringify(text.slice(0, 50))}`, () => {
    assert.equal(shown(text), expected);
  });
}

test("the parts of any text make up the text, none is empty, and every address is http(s)", () => {
  const pieces = ["https://", "http://a.example", "(", ")", "]", ".", " ", "x", "@", "\n", "\ud800", "🙂", "%", SHA1, "https://a.example/(b)", "'", "javascript:"];
  let seed = 1;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 5_000; round += 1) {
    const text = Array.from({ length: random(9) }, () => pieces[random(pieces.length)]).join("");
    const parts = partsOf(text);
    assert.equal(parts.map((part) => part.text).join(""), text);
    for (const { text: part, href, short } of parts) {
      assert.notEqual(part, "");
      if (href !== undefined) assert.match(href, /^https?:\/\/[^@]/);
      if (short !== undefined) assert.ok(part.startsWith(short));
    }
  }
});

test("the time for a text grows with its length only", () => {
  for (const piece of ["https://", "https://a/)", ")", "a".repeat(39), "0123456789abcdef", "https://a.example/ "]) {
    const started = process.cpuUsage().user;
    partsOf(`https://a.example/${piece.repeat(256_000 / piece.length)}`);
    assert.ok(process.cpuUsage().user - started < 2_000_000, piece); // usually some ms
  }
});

// The search of the list: what finds a task, and what does not.

import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import test from "node:test";
import { fold, matches, searching } from "../../relay/web/view/search.js";

const ID = "65f0c0ffee12345678900abc";
const TASK = {
  taskId: ID,
  eventCount: 3,
  title: "Round the  prices: Straße, naïve café & ÉCLAIR",
  creator: "Bob Müller",
  status: "CLARIFICATION_NEEDED",
  stage: "clarification_needed",
  issueUrl: "https://github.example/acme/shop/issues/12",
  issueNumber: 12,
  prUrl: "https://github.example/acme/shop/pull/123",
  prNumber: 123,
};

/** Asserts which of these searches find the task. */
function finds(task, found, missed, search = matches) {
  for (const text of found) assert.ok(search(task, text), `"${text}" finds it`);
  for (const text of missed) assert.ok(!search(task, text), `"${text}" does not find it`);
}

test("a search finds a task by every part that is seen", () => {
  finds(
    TASK,
    ["", "  ", "round", "prices", "bob", "questions", "clarification", "needed", "acme/shop", "pull/123", TASK.prUrl, ID, "c0ffee", "65f0c0"],
    ["rounds", "alice", "failed", "gitlab", "3", "65f0d0"],
  );
});

test("a search finds a task by whom it waits for", () => {
  finds({ taskId: "1", eventCount: 0, waitsFor: { sub: ["erin", "Zoë"], teams: ["red"] } }, ["erin", "zoe", "red"], ["sub", "teams", "blue"]);
});

test("a search needs all of its words, in any order and any part", () => {
  finds(TASK, ["prices round", "bob round 12", "ques bob"], ["round alice", "bob rounded"]);
});

test("case, accents and forms of the same letter do not matter", () => {
  finds(TASK, ["strasse", "STRASSE", "STRAẞE", "naive", "CAFE", "cafe\u0301", "eclair", "muller", "MÜLLER", "ＲＯＵＮＤ"], ["cofe"]);
  assert.equal(fold("ﬁn Ⅳ x² Łódź Øre ΣΊΣΥΦΟΣ"), "fin iv x2 lodz ore σισυφοσ");
});

test("each i of Turkish is found by each other, in any language of the reader", () => {
  for (const title of ["İSTANBUL", "ISTANBUL", "istanbul", "ıstanbul"]) {
    finds({ taskId: "1", eventCount: 0, title }, ["istanbul", "ISTANBUL", "İstanbul", "ıstanbul"], ["ankara"]);
  }
});

test("marks that are no accents stay: letters of Hindi, Japanese and Korean keep their difference", () => {
  assert.notEqual(fold("कि"), fold("क"));
  assert.notEqual(fold("が"), fold("か"));
  assert.equal(fold("한국"), "한국");
  assert.equal(fold("ze\u200bro wi\u00addth\ufe0f"), "zero width"); // what is invisible is not typed
  assert.equal(fold("שָׁלוֹם"), fold("שלום"));
});

test("a number finds what begins with it, and with # only itself", () => {
  finds(TASK, ["12", "#12", "123", "#123"], ["#1", "23", "#23", "1234"]);
  finds({ taskId: "T-77", eventCount: 0, title: "Sums of 2012" }, ["2012", "20", "t-77", "77"], ["12", "7#", "#77"]);
});

test("the short beginning of an id that a machine made finds nothing, a whole own id does", () => {
  finds({ taskId: ID, eventCount: 0 }, ["c0ffee", "900abc", ID.toUpperCase()], ["c0ff", "abc", "65f0"]);
  finds({ taskId: "ORDER-7", eventCount: 0 }, ["order", "order-7", "7"], ["order-8"]);
});

test("quotes make a phrase, which stays inside one part", () => {
  finds(TASK, ['"round the prices"', '"ROUND  THE"', "“round the prices”", '"round the', '"', '""'], ['"the round"', '"eclair bob"']);
});

test("a minus excludes", () => {
  finds(TASK, ["-alice", "round -failed", '-"the round"', "-", "-creator:alice", "well -"], ["-bob", "round -prices", '-"round the"', "-creator:bob", "-status:clarification"].concat("x-prices"), (task, text) =>
    matches({ ...task, title: `${task.title} well` }, text));
});

test("a field is searched by the beginning of its words, and in quotes as a whole", () => {
  finds(
    TASK,
    ["status:clarification_needed", "status:needed", "status:Questions", "STATUS:clar", 'status:"questions"', "creator:bob", "creator:mül", 'creator:"bob muller"', "creator:", "status:", "is:"],
    ["status:failed", "status:larification", "creator:round", "creator:ob", 'creator:"bob"', "status:bob"],
  );
});

test("is: asks the predicates of the page, and an unknown key is a text", () => {
  const asked = [];
  const mine = (task) => asked.push(task.taskId) > 0;
  const search = searching({ is: new Map([["mine", mine], ["unread", () => false]]) });
  finds(TASK, ["is:mine", "IS:Mine", "-is:unread", "is:mine bob", "https://github.example"], ["is:unread", "-is:mine", "is:other", "foo:bar", "https://nowhere"], (task, text) => search(text)(task));
  assert.ok(asked.every((taskId) => taskId === ID));
  finds({ taskId: "1", eventCount: 0, title: "Set foo:bar and is:other" }, ["foo:bar", "is:other", "FOO:Bar", 'foo:"bar and"'], ["foo:baz"]);
});

test("the stage is found by the label that the page shows, and by the English one that a link may name", () => {
  const search = searching({ labelOf: () => "Rückfragen" });
  finds(TASK, ["rückfragen", "ruckfragen", "status:rück", "clarification", "status:questions"], ["review"], (task, text) => search(text)(task));
});

test("any text is a search, and none throws", () => {
  const texts = ["\\", "(", "[a-", "*", "#", "##1", "--", "-\"", "a:b:c", ":", "constructor:x", "is:constructor", "__proto__", "\ud800", "\u202e", "🙂", '"""', "-".repeat(5_000), "a".repeat(5_000), '"'.repeat(5_000)];
  for (const text of texts) {
    assert.doesNotThrow(() => matches(TASK, text), text.slice(0, 20));
    const title = { taskId: "1", eventCount: 0, title: text.replaceAll(/["“”„]/g, " ") };
    if (/^[^\s"-]+$/.test(text)) assert.ok(matches(title, text), text.slice(0, 20));
  }
});

test("a search finds every task that has all of its words (property)", () => {
  const words = ["alpha", "Beta", "gamma", "café", "12", "über", "a-b", "x.y", "ẞ"];
  let seed = 7;
  const random = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 500; round += 1) {
    const title = Array.from({ length: 1 + random(5) }, () => words[random(words.length)]);
    const wanted = Array.from({ length: 1 + random(3) }, () => words[random(words.length)]);
    const expected = wanted.every((word) => title.includes(word));
    const task = { taskId: "t", eventCount: 0, title: title.join(" ") };
    assert.equal(matches(task, wanted.join(" ")), expected, `${wanted} in ${title}`);
    assert.equal(matches(task, wanted.map((word) => `-${word}`).join(" ")), !wanted.some((word) => title.includes(word)));
  }
});

test("five thousand tasks are searched in a moment, and again with each letter in less", (t) => {
  const tasks = Array.from({ length: 5_000 }, (_, number) => ({
    ...TASK, taskId: number.toString(16).padStart(24, "0"), title: `Tâche numéro ${number}, ${"words and ".repeat(5)}`,
  }));
  const search = searching();
  const took = ["n", "nu", "num", "nume", "numero", "numero 49", "numero 4999", "numero 4999 -zebra"].map((text) => {
    const before = performance.now();
    const found = tasks.filter(search(text)).length;
    return { text, found, ms: Math.round((performance.now() - before) * 10) / 10 };
  });
  t.diagnostic(JSON.stringify(took));
  assert.deepEqual(took.slice(-2).map(({ found }) => found), [1, 1]);
});

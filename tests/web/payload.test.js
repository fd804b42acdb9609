// What a timeline shows of the data of an event.

import assert from "node:assert/strict";
import test from "node:test";
import { contentOf, failureIn, questionsOf, wholeError } from "../../relay/web/view/payload.js";

const PYTHON = 'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n    run()\nValueError: no\n';
const NODE = "Error: no\n    at run (a.js:3:1)\n    at a.js:9:2";

function content(data, event) {
  const { text, glance, more, questions, block } = contentOf(data, event);
  return [text || glance, more, questions.length, block];
}

for (const [name, data, expected, isError = false] of [
  ["a text and nothing else", { type: "log", at: "x", message: "hi" }, ["hi", false, 0, ""]],
  ["a text in a payload", { data: { text: "hi" } }, ["hi", true, 0, ""]],
  ["first fields", { data: { region: "eu", n: [1, 2] } }, ["Region eu · N [2]", true, 0, ""]],
  ["several lines that are no error", { message: "a\n  b" }, ["a\n  b", true, 0, ""]],
  ["an error of one line", { error: "no" }, ["no", false, 0, ""], true],
  ["an error of several lines", { error: "no:\n  a\n  b" }, ["no:", true, 0, "no:\n  a\n  b"], true],
  ["a traceback of Python in a text", { message: PYTHON }, ["ValueError: no", true, 0, PYTHON]],
  ["a stack of JavaScript in a text", { text: NODE }, ["Error: no", true, 0, NODE]],
  ["a traceback in its own field", { message: "It broke", traceback: PYTHON }, ["It broke", false, 0, PYTHON]],
  ["a traceback and nothing else", { traceback: PYTHON }, ["ValueError: no", false, 0, PYTHON]],
  ["an error object", { error: { message: "no", stack: NODE } }, ["no", true, 0, NODE]],
  ["questions", { questions: ["Up?", "Down?"] }, ["", false, 2, ""]],
  ["questions with a text", { message: "Please", questions: [{ question: "Up?" }, {}, 3] }, ["Please", false, 1, ""]],
  ["questions in a payload", { payload: { clarificationQuestions: ["Up?"] } }, ["", true, 1, ""]],
  ["nothing", null, ["", false, 0, ""]],
  ["a plain text", "hi", ["hi", false, 0, ""]],
]) {
  test(`an event with ${name}`, () => assert.deepEqual(content(data, { isError }), expected));
}

test("data that was left out says how large it is", () => {
  const { text, bytes } = contentOf({ truncated: true, bytes: 1_200_000 });
  assert.deepEqual([text, bytes], ["Too large to send (1.2 MB)", 1_200_000]);
});

test("questions are found in a list only", () => {
  for (const questions of ["Which?", {}, 3, [null, [], ""]]) assert.deepEqual(questionsOf({ questions }), []);
});

test("the time for a text grows with its length only", () => {
  for (const piece of ["\n", "  at x\n", " ", "  at ", ":1", "goroutine 1"]) {
    const started = process.cpuUsage().user;
    contentOf({ message: piece.repeat(256_000 / piece.length) }, { isError: true });
    assert.ok(process.cpuUsage().user - started < 2_000_000, piece);
  }
});

test("what failed is the last line of a traceback of Python, unless that was cut off", () => {
  assert.equal(failureIn(PYTHON), "ValueError: no");
  const first = "Traceback (most recent call last):";
  assert.equal(failureIn(`${first}\n…\n    run()\nValueError: no`), "ValueError: no");
  assert.equal(failureIn(`${first}\n…\nValueError: n…`), "ValueError: n…");
  for (const error of [NODE, "no", "", "no:\n  a", `${PYTHON.slice(0, 70)}…`, first, `${first}\n…`]) {
    assert.equal(failureIn(error), "", error);
  }
});

test("an error that was cut is taken from the event that has all of it", () => {
  const first = PYTHON.slice(0, PYTHON.indexOf("\n"));
  const cut = `${PYTHON.slice(0, 60)}…`;
  const events = (data) => [{ data: { message: "x" } }, { data }, null, { data: "y" }, { data: { error: "other" } }];
  for (const data of [PYTHON, { error: PYTHON }, { error: { message: PYTHON } }, { message: PYTHON }, { payload: { traceback: PYTHON } }]) {
    for (const error of [cut, `${first}\n…\n    run()\nValueError: no`, `${first}\n…\nValueErr…`]) {
      assert.equal(wholeError(error, events(data)).trim(), PYTHON.trim(), JSON.stringify([error, data]));
    }
  }
  const ofAnother = `${first}\n…\nKeyError: no`;
  assert.equal(wholeError(ofAnother, events({ error: PYTHON })), ofAnother);
  for (const error of [cut, "no", "", "…x", PYTHON]) assert.equal(wholeError(error, events({ level: "error", message: "no" })), error);
  assert.equal(wholeError("no", events({ error: "no: and more" })), "no"); // it was not cut
});

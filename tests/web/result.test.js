// The result of a search: when it is searched again, and what stays in it.

import assert from "node:assert/strict";
import test from "node:test";
import { Result } from "../../relay/web/dashboard/result.js";

const rows = () => ["a", "b", "c"].map((taskId) => ({ taskId, task: { taskId }, matches: true }));
const matching = (of) => of.filter(({ matches }) => matches).map(({ taskId }) => taskId).join("");

/** A search for what is unread, and a result of it with `openTaskId` open. */
function unreadOf(of, unread, openTaskId = null) {
  const filter = { text: "is:unread", asksIs: true, section: null, passes: ({ taskId }) => unread.has(taskId) };
  const result = new Result();
  result.begin(filter, openTaskId);
  for (const row of of) result.judge(row, row.task);
  return { result, filter };
}

test("a search for what is unread is asked again when marks change, and the open task stays until another is open", () => {
  const of = rows();
  const unread = new Set(["a", "b"]);
  const { result, filter } = unreadOf(of, unread);
  assert.equal(matching(of), "ab");

  result.begin(filter, "a");
  unread.delete("a");
  result.ask();
  assert.equal(result.judgeAgain(of), false);
  assert.equal(matching(of), "ab");
  assert.equal(result.judge(of[0], of[0].task), false); // nor does a change of it take it away

  result.begin(filter, "b");
  unread.delete("b");
  unread.add("c");
  assert.equal(result.judgeAgain(of), true);
  assert.equal(matching(of), "bc");
  result.begin(filter, null);
  assert.equal(result.judgeAgain(of), true);
  assert.equal(matching(of), "c");
});

test("what is open is no part of a result that it never belonged to, nor of another search", () => {
  const of = rows();
  unreadOf(of, new Set(["b"]), "a");
  assert.equal(matching(of), "b");
  const { result } = unreadOf(of, new Set(["a"]), "a");
  const none = { text: "is:mine", asksIs: true, section: null, passes: () => false };
  assert.equal(result.begin(none, "a"), true);
  for (const row of of) result.judge(row, row.task);
  assert.equal(matching(of), "");
});

test("a search that asks nothing but the tasks is not asked again, and keeps nothing that does not match", () => {
  const of = rows();
  const filter = { text: "x", asksIs: false, section: null, passes: ({ title }) => title === undefined };
  const result = new Result();
  assert.equal(result.begin(filter, "a"), true);
  for (const row of of) result.judge(row, row.task);
  assert.equal(result.begin(filter, "a"), false);
  assert.equal(result.judge(of[0], { taskId: "a", title: "y" }), true);
  result.ask();
  assert.equal(result.judgeAgain(of), false);
  assert.equal(matching(of), "bc");
});

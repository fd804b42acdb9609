// What is said to users of screen readers, and how long it stays in the page.

import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { dashboard, openPage } from "./fake-page.js";

const page = openPage();
const { Announcer } = await dashboard("announcer.js");
mock.timers.enable({ apis: ["setTimeout"] });

const said = () => page.querySelector("#said").textContent;
const merged = (taskId) => ({ type: "task:pr_merged", data: { taskId, title: `Title of ${taskId}` } });
const listed = (change, taskId) => ({ type: "dashboard:task_list_updated", data: { change, taskId } });

test("nothing that was said of a task stays once the reader may not see it", () => {
  const announcer = new Announcer(() => new Map());
  for (const taskId of ["a", "b", "c"]) announcer.take(merged(taskId));
  announcer.take(listed("revoked", "b")); // before it was said
  announcer.take(listed("deleted", "c"));
  mock.timers.tick(10_000);
  assert.match(said(), /Title of a/);
  assert.doesNotMatch(said(), /Title of [bc]/);
  announcer.take(listed("revoked", "other"));
  announcer.take(listed("upserted", "a"));
  assert.match(said(), /Title of a/);
  announcer.take(listed("revoked", "a"));
  assert.equal(said(), "");
});

test("nothing is left of the user before, said or still to be said", () => {
  const announcer = new Announcer(() => new Map());
  announcer.take(merged("a"));
  mock.timers.tick(10_000);
  announcer.take(merged("b"));
  announcer.clear();
  assert.equal(said(), "");
  mock.timers.tick(10_000);
  assert.equal(said(), "");
});

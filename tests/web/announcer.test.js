// What is said to users of screen readers, and how long it stays in the page.

import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { dashboard, openPage } from "./fake-page.js";

const page = openPage();
const { Announcer } = await dashboard("announcer.js");
mock.timers.enable({ apis: ["setTimeout"] });

const said = () => page.querySelector("#said").textContent;
const merged = (taskId) => ({ type: "task:pr_merged", data: { taskId, title: `Title of ${taskId}` } });
const removed = (taskId) => ({ type: "dashboard:task_list_updated", data: { change: "removed", taskId } });

test("nothing that was said of a task stays once the reader may not see it", () => {
  const announcer = new Announcer(() => new Map());
  for (const taskId of ["a", "b"]) announcer.take(merged(taskId));
  announcer.take(removed("b")); // before it was said
  mock.timers.tick(10_000);
  assert.match(said(), /Title of a/);
  assert.doesNotMatch(said(), /Title of b/);
  announcer.take(removed("other"));
  assert.match(said(), /Title of a/);
  announcer.take(removed("a"));
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

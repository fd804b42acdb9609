// Lists, selections and timelines, over either transport.

import assert from "node:assert/strict";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { TaskList } from "../../relay/web/client/task-list.js";
import { FakeRelay } from "./fake-relay.js";

function listOf(...tasks) {
  const list = new TaskList();
  list.replace({ tasks, reset: true, more: false });
  return list;
}

function task(taskId, status, eventCount = 0) {
  return { taskId, status, eventCount, createdAt: `2026-05-0${taskId}T00:00:00.000Z` };
}

test("a selection stays filtered and sorted, and reports what changed", () => {
  const list = listOf(task("1", "failed"), task("2", "merged"), task("3", "failed"));
  const selection = list.select({
    where: ({ status }) => status === "failed",
    orderBy: (a, b) => b.eventCount - a.eventCount,
  });
  const changes = [];
  selection.onChange(({ tasks, added, updated, removed, moved }) => {
    const ids = (some) => some.map(({ taskId }) => taskId).join("");
    changes.push([ids(tasks), ids(added), ids(updated), ids(removed), moved]);
  });
  assert.deepEqual(selection.tasks.map(({ taskId }) => taskId), ["3", "1"]);
  list.update({ change: "upserted", ...task("2", "merged", 5) }); // outside of the selection, before and after
  list.update({ change: "upserted", ...task("2", "failed", 5) });
  list.update({ change: "upserted", ...task("1", "failed", 9) });
  list.update({ change: "upserted", ...task("3", "merged", 9) });
  list.update({ change: "deleted", taskId: "1" });
  selection.choose({ limit: 1 });
  selection.close();
  list.update({ change: "deleted", taskId: "3" });
  assert.deepEqual(changes, [
    ["231", "2", "", "", false],
    ["123", "", "1", "", true],
    ["12", "", "", "3", false],
    ["2", "", "", "1", false],
    ["3", "3", "", "2", false],
  ]);
});

test("a list that arrives again as a whole changes only where it differs", () => {
  const list = listOf(task("1", "failed"), task("2", "merged"));
  const [second, first] = list.tasks;
  const changes = [];
  list.select().onChange(({ updated }) => changes.push(updated));
  list.replace({ tasks: [task("1", "merged"), task("2", "merged")], reset: true, more: false });
  assert.equal(list.tasks[0], second);
  assert.notEqual(list.tasks[1], first);
  assert.deepEqual(changes, [[task("1", "merged")]]);
  list.replace({ tasks: [task("1", "merged"), task("2", "merged")], reset: true, more: false });
  assert.equal(changes.length, 1);
});

for (const blocked of [false, true]) {
  const over = blocked ? "long polling" : "WebSocket";

  test(`a task that is not visible ends as forbidden, over ${over}`, async () => {
    const relay = new FakeRelay("t");
    relay.blocked = blocked;
    const client = connect({ url: "ws://relay.test/ws", token: () => "token", host: relay.host });
    const [timeline, other] = [client.joinTask("t"), client.joinTask("nowhere")];
    await relay.world.pass(2_000);
    assert.deepEqual([timeline.state, other.state], ["ready", "forbidden"]);
    client.close();
  });

  test(`more tasks than one request may name are joined with several, over ${over}`, async () => {
    const ids = Array.from({ length: 230 }, (_, n) => `t${n}`);
    const relay = new FakeRelay(...ids);
    relay.blocked = blocked;
    const client = connect({ url: "ws://relay.test/ws", token: () => "token", host: relay.host });
    const timelines = ids.map((id) => client.joinTask(id));
    await relay.world.pass(2_000);
    assert.ok(timelines.every(({ state }) => state === "ready"));
    await relay.append("t0", 1);
    await relay.append("t229", 2);
    await relay.world.pass(1_000);
    assert.deepEqual([timelines[0].events.length, timelines[229].events.length], [1, 1]);
    client.close();
  });

  test(`a task that was left changes no more, and can be joined again, over ${over}`, async () => {
    const relay = new FakeRelay("t");
    relay.blocked = blocked;
    const client = connect({ url: "ws://relay.test/ws", token: () => "token", host: relay.host });
    const left = client.joinTask("t");
    await relay.world.pass(2_000);
    client.leaveTask("t");
    await relay.append("t", 1);
    await relay.world.pass(1_000);
    assert.equal(left.events.length, 0);
    assert.equal(client.joinTask("t") === left, false);
    await relay.world.pass(1_000);
    assert.equal(client.joinTask("t").events.length, 1);
    client.close();
  });
}

test("a task that is revoked while polling is dropped, and returns when it is visible again", async () => {
  const relay = new FakeRelay("t");
  relay.blocked = true;
  const client = connect({ url: "ws://relay.test/ws", token: () => "token", host: relay.host });
  const timeline = client.joinTask("t");
  await relay.append("t", 1);
  await relay.world.pass(2_000);
  relay.hidden.add("t");
  relay.answerWaiting();
  await relay.world.pass(1_000);
  assert.deepEqual([timeline.state, timeline.events.length], ["revoked", 0]);
  const polls = relay.polls;
  await relay.world.pass(20_000);
  assert.ok(relay.polls - polls <= 1); // the poll waits, and is not repeated
  relay.hidden.delete("t");
  relay.answerWaiting();
  await relay.world.pass(1_000);
  assert.deepEqual([timeline.state, timeline.events.length], ["ready", 1]);
});

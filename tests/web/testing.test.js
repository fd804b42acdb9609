// What the fake relay of task-relay-client/testing offers beside what a real relay does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeRelay } from "../../relay/web/testing/index.js";

/** @param {object} [options] a fake relay with one task, which is joined with the list */
async function joined(options) {
  const fake = fakeRelay({ tasks: [{ taskId: "t1", title: "One" }], ...options });
  const list = fake.relay.joinDashboard();
  const timeline = fake.relay.joinTask("t1");
  await fake.settled();
  return { fake, list, timeline, relay: fake.relay };
}

test("a wrong call says what is wrong, and changes nothing", async () => {
  const { fake, list } = await joined();
  const wrong = [
    [() => fake.push("t2", { type: "note" }), 'There is no task "t2". The tasks are: "t1".'],
    [() => fake.push("t1", /** @type {any} */ ({ text: "Hello" })), 'An event needs a `type`, a string, as in {type: "note", text: "Hello"}.'],
    [() => fake.set("t2", {}), 'There is no task "t2". The tasks are: "t1".'],
    [() => fake.remove("t2"), 'There is no task "t2". The tasks are: "t1".'],
    [() => fake.revoke("t2"), 'There is no task "t2". The tasks are: "t1".'],
    [() => fake.set("t1", /** @type {any} */ ({ titel: "Two" })), /A task has no field "titel"\. It has title, creator/],
    [() => fake.push("t1", { type: "note" }, /** @type {any} */ ({ titel: "Two" })), /A task has no field "titel"/],
    [() => fake.set("t1", /** @type {any} */ ({ title: null })), 'The field "title" is null. An absent field is undefined.'],
    [() => fake.add({ taskId: "t1" }), 'There is a task "t1" already.'],
    [() => fake.add(/** @type {any} */ ({ title: "No id" })), "A task needs a `taskId`, a string."],
    [() => fake.add(/** @type {any} */ ({ taskId: "t3", events: [{}] })), /An event needs a `type`/],
    [() => fake.add(/** @type {any} */ ({ taskId: "t3", titel: "Three" })), /A task has no field "titel"/],
    [() => fake.fail(/** @type {any} */ ("forbidden")), "A connection fails with a close code from 1000 to 4999, not with forbidden."],
    [() => fake.failNextJoin(/** @type {any} */ (4401)), /A join fails with one of bad_message, .*, not with 4401\./],
    [() => fake.failNextJoin(/** @type {any} */ ("forbiden")), /A join fails with one of .*, not with forbiden\./],
    [() => fake.advance(/** @type {any} */ ("soon")), "Time passes by a number of ms, not by soon."],
    [() => fake.signIn(/** @type {any} */ ({ teams: ["red"] })), 'A user needs a `sub`, a string, as in {sub: "alice"}.'],
  ];
  for (const [call, message] of /** @type {[() => unknown, any][]} */ (wrong)) assert.throws(call, { message });
  await fake.settled();
  assert.deepEqual(list.tasks, [{ taskId: "t1", title: "One", eventCount: 0 }]);
  await fake.add({ taskId: "t3" }); // the id is still free
});

test("no timer of the environment is used, so that a test may replace them", async (t) => {
  const never = () => assert.fail("a timer of the environment");
  for (const name of ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"]) t.mock.method(globalThis, name, never);
  t.mock.method(process, "nextTick", never);
  const { fake, timeline, relay } = await joined();
  await fake.push("t1", { type: "note" });
  await fake.offline();
  await fake.push("t1", { type: "note" });
  await fake.online();
  assert.deepEqual([timeline.events.length, relay.status.state], [2, "live"]);
});

test("a change is sent after the call, and has arrived when its promise resolves", async () => {
  const { fake, timeline } = await joined();
  const settled = fake.push("t1", { type: "note", at: new Date("2026-05-01T12:00:00Z") });
  assert.equal(timeline.events.length, 0);
  await settled;
  const at = "2026-05-01T12:00:00.000Z";
  assert.deepEqual(timeline.events, [{ type: "note", at, data: { type: "note", at } }]);
});

test("a client that the relay closed comes back when its time has come, and not before", async () => {
  const { fake, relay, timeline } = await joined();
  await fake.fail();
  assert.deepEqual([relay.status.state, relay.status.reason], ["offline", "internal error"]);
  const waitMs = Number(relay.status.nextTryAt) - fake.options.host.now();
  await fake.push("t1", { type: "note" });
  await fake.advance(waitMs - 1);
  assert.equal(relay.status.state, "offline");
  await fake.advance(1);
  assert.deepEqual([relay.status.state, timeline.events.length], ["live", 1]);
});

test("each close code leaves the client in its state", async () => {
  for (const [code, state, reason] of /** @type {[number, string, string][]} */ ([
    [4401, "offline", "unauthenticated"], [4403, "offline", "disconnected"], [4429, "offline", "rate_limited:1000"],
    [4430, "offline", "at_capacity"], [4500, "refused", "bad_handshake"], [4502, "refused", "feature_disabled"],
  ])) {
    const { fake, relay } = await joined();
    await fake.fail(code);
    assert.deepEqual([relay.status.state, relay.status.reason], [state, reason]);
    relay.retry();
    await fake.settled();
    assert.equal(relay.status.state, "live", String(code));
  }
});

test("a client stays connected while time passes, and tries again and again while it is offline", async () => {
  const { fake, relay } = await joined();
  await fake.advance(600_000);
  assert.equal(relay.status.state, "live");
  await fake.offline();
  await fake.advance(600_000);
  assert.equal(relay.status.state, "offline");
  await fake.online();
  assert.equal(relay.status.state, "live");
});

test("a join that fails for a while is repeated, and one that fails for good ends", async () => {
  const fake = fakeRelay({ tasks: [{ taskId: "t1" }] });
  const list = fake.relay.joinDashboard();
  await fake.failNextJoin("unavailable");
  assert.equal(list.state, "loading");
  await fake.advance(1_000);
  assert.equal(list.state, "ready");
  fake.failNextJoin("forbidden");
  const timeline = fake.relay.joinTask("t1");
  await fake.settled();
  assert.equal(timeline.state, "forbidden");
});

test("a relay that is stale says so to those who are connected and to those who come, until it is live", async () => {
  const { fake, relay } = await joined();
  await fake.stale();
  const late = fake.connect();
  await fake.settled();
  assert.deepEqual([relay.status.state, late.status.state], ["stale", "stale"]);
  await fake.live();
  assert.deepEqual([relay.status.state, late.status.state], ["live", "live"]);
});

test("the user has the claims of the sign-in, also after other ones", async () => {
  const { fake, relay } = await joined({ me: { sub: "alice", teams: ["red"] } });
  assert.deepEqual(relay.me, { sub: ["alice"], teams: ["red"] });
  await fake.signIn({ sub: "alice", teams: "blue" });
  assert.deepEqual(relay.me, { sub: ["alice"], teams: ["blue"] });
  await fake.signIn("bob");
  assert.deepEqual([relay.me, relay.status.state], [{ sub: ["bob"] }, "live"]);
  await fake.signOut();
  assert.deepEqual([relay.status.state, relay.status.reason], ["offline", "no_token"]);
});

test("nobody is signed in where the test says so", async () => {
  const { fake, relay, list } = await joined({ me: null });
  assert.deepEqual([relay.status.reason, list.state], ["no_token", "loading"]);
  await fake.signIn("alice");
  assert.deepEqual([relay.status.state, list.size], ["live", 1]);
});

test("the fake relay knows what is joined, and no client that was closed", async () => {
  const { fake, relay } = await joined();
  assert.deepEqual(fake.joined, { list: true, tasks: ["t1"] });
  relay.leaveTask("t1");
  await fake.settled();
  assert.deepEqual(fake.joined, { list: true, tasks: [] });
  await fake.close();
  assert.deepEqual(fake.joined, { list: false, tasks: [] });
});

test("a client may join the list with its request for the connection", async () => {
  const { connect } = await import("../../relay/web/client/index.js");
  const fake = fakeRelay({ tasks: [{ taskId: "t1" }] });
  const list = connect({ ...fake.options, joinEarly: true }).joinDashboard();
  await fake.settled();
  assert.deepEqual([list.state, list.size], ["ready", 1]);
});

test("a hundred and fifty tasks are joined at once, without a wait", async () => {
  const tasks = Array.from({ length: 150 }, (_, number) => ({ taskId: `t${number}`, events: [{ type: "log" }] }));
  const fake = fakeRelay({ tasks });
  const timelines = tasks.map(({ taskId }) => fake.relay.joinTask(taskId));
  await fake.settled();
  assert.ok(timelines.every(({ state, events }) => state === "ready" && events.length === 1));
});

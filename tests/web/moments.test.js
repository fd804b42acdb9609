// The moment that a polling client keeps, with several instances of the relay.

import assert from "node:assert/strict";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { Moments } from "../../relay/web/client/transports/moments.js";
import { PollState } from "../../relay/web/client/transports/poll-state.js";
import { FakeRelay } from "./fake-relay.js";

const TASKS = Array.from({ length: 150 }, (_, n) => `t${n}`); // more than one poll may name

test("the latest moment is kept, whichever instance answers last", () => {
  const answers = ["9.9", "10.1", "9.10", "10.10", "10.9", "1777636800.4294967295", "1777636799.5"];
  for (const order of [answers, [...answers].reverse(), [...answers].sort()]) {
    const state = new PollState();
    state.ask("task:join", { tasks: [{ taskId: "t" }] }, "p1");
    for (const moment of order) [...state.messagesOf({ messages: [], moment })];
    assert.deepEqual(state.bodies(), [{ tasks: [{ taskId: "t" }], moment: "1777636800.4294967295" }]);
  }
  const moments = new Moments();
  for (const moment of ["9.9", "10.1", "9.10", "10.2", "10.1", undefined]) moments.note(moment);
  assert.equal(moments.latest, "10.2");
});

test("tasks in several polls share the latest moment of the round, and the next connection keeps it", async () => {
  const relay = new FakeRelay(...TASKS);
  relay.blocked = true;
  const serve = relay.world.onRequest;
  const behind = ["7.1", "8.2"];
  relay.world.onRequest = (request) => {
    const answers = request.answers.bind(request);
    request.answers = (status, body) => answers(status, body?.moment ? { ...body, moment: behind.pop() ?? "8.1" } : body);
    serve(request);
  };
  const client_ = connect({ url: "ws://relay.test/ws", token: () => "token", host: relay.host });
  for (const id of TASKS) client_.joinTask(id);
  await relay.world.pass(4_000);
  await relay.cut();
  await relay.world.pass(20_000);
  const moments = relay.world.requests.flatMap(({ body }) => body?.moment ?? []);
  assert.ok(moments.length > 3);
  assert.deepEqual(new Set(moments), new Set(["8.2"]));
  client_.close();
});

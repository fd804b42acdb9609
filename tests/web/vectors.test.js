// Test vectors that JavaScript and Python share: tests/unit/protocol/test_vectors.py is the other half.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { verdict } from "../../relay/web/client/protocol.js";
import { answerOf } from "../../relay/web/client/transports/http.js";
import { PollState } from "../../relay/web/client/transports/poll-state.js";
import { FakeHost, settled } from "./fake-host.js";

/** @param {string} name */
function vectors(name) {
  return JSON.parse(readFileSync(new URL(`../../relay/cli/conformance/vectors/${name}.json`, import.meta.url), "utf8"));
}

test("a recorded conversation is applied as it is written", async () => {
  const { frames, expected } = vectors("conversation");
  const world = new FakeHost();
  const relay = connect({ url: "ws://relay.test/ws", token: () => "token", host: world.host });
  const list = relay.joinDashboard();
  const timeline = relay.joinTask(expected.taskId);
  const received = [];
  relay.onMessage((message) => received.push(message));
  await settled();
  for (const { text } of frames) {
    world.sockets[0].onmessage({ data: text });
    await settled();
  }
  assert.deepEqual(received.map(({ type, data }) => ({ kind: type, data })), frames.map(({ kind, data }) => ({ kind, data })));
  assert.deepEqual(timeline.events, expected.events);
  assert.deepEqual(timeline.task, expected.task);
  assert.deepEqual(list.tasks, expected.listed);
});

for (const [code, reason, then, afterMs] of vectors("closes")) {
  test(`a close ${code} ${reason} means ${then}`, () => {
    assert.deepEqual(verdict(code, reason), afterMs === undefined ? { then } : { then, afterMs });
  });
}

for (const { from, status, body, isTokenLong, ending: [code, reason, afterMs] } of vectors("answers")) {
  test(`${status} of ${from}${body ? ` (${body.message})` : ""} means ${code} ${reason}`, () => {
    const text = body ? JSON.stringify({ type: "error", data: body }) : "<!doctype html><title>Another page</title>";
    assert.deepEqual({ afterMs: undefined, ...answerOf(status, text, isTokenLong).ending }, { code, reason, afterMs });
    if (!body) assert.notEqual(verdict(code, reason).then, "give_up"); // only the relay ends the attempts
  });
}

for (const { name, asks, answer, received = [], polls } of vectors("polls")) {
  test(`polls: ${name}`, () => {
    const state = new PollState();
    for (const [type, data, request] of asks) state.ask(type, data, request);
    const messages = answer ? [...state.messagesOf(answer)] : [];
    assert.deepEqual(messages.map(({ type, replyTo = null }) => [type, replyTo]), received);
    assert.deepEqual(state.bodies(), polls);
  });
}

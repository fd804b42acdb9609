// What `relay.debug()` says of a connection, and what it never says.

import assert from "node:assert/strict";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { settled } from "./fake-host.js";
import { FakeRelay } from "./fake-relay.js";
import { rawToken } from "./fake-token.js";

const URL_ = "ws://relay.test/ws";
const TITLE = "A title nobody else may read";
const TOKEN = rawToken(JSON.stringify({ sub: "alice", iat: 1_000, exp: 2_000 }));

function given(blocked = false) {
  const relay = new FakeRelay("t");
  relay.blocked = blocked;
  const client = connect({ url: URL_, token: () => TOKEN, host: relay.host });
  const timeline = client.joinTask("t");
  client.joinDashboard();
  return { relay, client, timeline };
}

test("it says how the connection is, what is joined and how far, and what arrived", async () => {
  const { relay, client, timeline } = given();
  const { world } = relay;
  await settled();
  await relay.append("t", { message: TITLE });
  const report = client.debug();
  const { at, state, transport, token, reconnects, received, heardAt, rooms } = report;
  assert.deepEqual({ at, state, transport, reconnects, heardAt }, { at: world.time, state: "live", transport: "websocket", reconnects: 0, heardAt: world.time });
  assert.deepEqual(token, { length: TOKEN.length, issuedAt: 1_000_000, expiresAt: 2_000_000 });
  assert.deepEqual(rooms, [
    { room: null, state: "ready", phase: "joined", held: 1 },
    { room: "t", state: "ready", phase: "joined", held: 1, ...timeline.position },
  ]);
  assert.deepEqual(report.messages.map(({ type, room }) => [type, room]), [
    ["welcome", undefined], ["dashboard:state", null], ["task:state", "t"], ["task:event_added", "t"],
    ["dashboard:task_list_updated", null],
  ]);
  assert.equal(received, 5);
  assert.ok(report.messages.every(({ size, at: arrived }) => size > 10 && arrived === world.time));
  assert.deepEqual(report.statuses.map((status) => status.state), ["connecting", "live"]);
  // It is plain, a copy, and has nothing of the token or of what the task holds.
  assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
  report.statuses.length = 0;
  report.messages.length = 0;
  assert.equal(client.debug().statuses.length, 2);
  // (The head of this fake relay is made of the events; that of a relay is a digest.)
  const text = JSON.stringify(client.debug(), (key, value) => (key === "head" ? "" : value));
  assert.ok(!text.includes(TOKEN) && !text.includes(TOKEN.split(".")[1]));
  assert.ok(!text.includes("title"));
  client.close();
});

test("it says why connections ended, in order", async () => {
  const { relay, client } = given();
  await settled();
  relay.down = true;
  await relay.cut();
  relay.down = false;
  await relay.world.pass(30_000);
  relay.world.sockets.at(-1).ends(4430, "at_capacity");
  assert.deepEqual([client.debug().why, client.debug().code, client.debug().transport], ["at_capacity", 4430, null]);
  await relay.world.pass(30_000);
  const { state, code, why, reconnects, statuses } = client.debug();
  assert.deepEqual([state, code, why, reconnects], ["live", undefined, undefined, 2]);
  const ends = statuses.filter((status) => status.state === "offline");
  assert.deepEqual(ends.map(({ reason, code: ended }) => [reason, ended]), [["network", 1006], ["at_capacity", 4430]]);
  client.close();
});

test("over polling it names the transport and the reason, and the size of each answer", async () => {
  const { relay, client } = given(true);
  await relay.world.pass(2_000);
  const { state, why, transport, messages } = client.debug();
  assert.deepEqual([state, why, transport], ["polling", "blocked", "polling"]);
  assert.ok(messages.length > 0 && messages.every(({ size }) => size > 10));
  client.close();
});

test("payloads are there only when they are asked for, from the first such call on", async () => {
  const { relay, client } = given();
  await settled();
  await relay.append("t", { message: TITLE });
  const before = client.debug({ payloads: true });
  assert.ok(before.messages.every(({ payload }) => payload === undefined));
  await relay.append("t", { message: TITLE + "x".repeat(10_000) });
  const asked = client.debug({ payloads: true }).messages.find(({ payload }) => payload !== undefined);
  assert.ok(asked.payload.includes(TITLE) && asked.payload.length === 4_096);
  assert.ok(client.debug().messages.every(({ payload }) => payload === undefined));
  client.close();
});

test("its memory is bounded, and it keeps the newest", async () => {
  const { relay, client } = given();
  await settled();
  for (let count = 0; count < 60; count += 1) await relay.append("t", count);
  for (let count = 0; count < 40; count += 1) {
    relay.world.sockets.at(-1).ends(4401, "unauthenticated");
    await relay.world.pass(60_000);
  }
  const { messages, statuses, received, at } = client.debug();
  assert.deepEqual([messages.length, statuses.length], [50, 50]);
  assert.ok(received > 120);
  for (const notes of [messages, statuses]) {
    assert.deepEqual(notes, [...notes].sort((one, other) => one.at - other.at));
    assert.ok(at - notes.at(-1).at <= 60_000);
  }
  client.close();
});

test("it can be called at any time, and before the first token and after the end as well", async () => {
  const relay = new FakeRelay();
  const client = connect({ url: URL_, token: () => null, host: relay.host });
  assert.deepEqual([client.debug().state, client.debug().token, client.debug().rooms], ["connecting", null, []]);
  await settled();
  const { state, why, code, statuses } = client.debug();
  assert.deepEqual([state, why, code, statuses.length], ["offline", "no_token", undefined, 2]);
  client.close();
  assert.equal(client.debug().transport, null);
});

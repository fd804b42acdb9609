// The sections of the list: what needs this user, what needs others.

import assert from "node:assert/strict";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { sectionOf, waitsForMe } from "../../relay/web/view/index.js";
import { settled } from "./fake-host.js";
import { FakeRelay } from "./fake-relay.js";
import { tokenOf } from "./fake-token.js";

const ALICE = { sub: ["alice"], teams: ["red", "blue"] };

/** @param {object} task */
function sectionOfAlice(task) {
  return sectionOf({ taskId: "t", eventCount: 0, ...task }, ALICE);
}

test("a task needs a user for whom one claim has one of the values that it waits for", () => {
  const waiting = (/** @type {object} */ waitsFor) => sectionOfAlice({ stage: "pr_opened", waitsFor });
  assert.equal(waiting({ sub: ["bob", "alice"] }), "needs-me");
  assert.equal(waiting({ sub: ["bob"], teams: ["blue"] }), "needs-me");
  assert.equal(waiting({ sub: ["bob"] }), "needs-others");
  assert.equal(waiting({ teams: ["alice"] }), "needs-others");
  assert.equal(waiting({}), "needs-others");
});

test("a task of any stage that waits for somebody needs somebody, unless it has failed", () => {
  const waitsFor = { sub: ["alice"] };
  for (const stage of ["analyzing", "dispatched", "pr_merged", undefined]) {
    assert.equal(sectionOfAlice({ stage, waitsFor }), "needs-me", stage);
  }
  assert.equal(sectionOfAlice({ stage: "failed", waitsFor }), "failed");
  assert.ok(waitsForMe({ taskId: "t", eventCount: 0, stage: "failed", waitsFor }, ALICE));
});

test("a waiting task for which the relay names nobody waits for its creator", () => {
  for (const stage of ["clarification_needed", "pr_opened"]) {
    assert.equal(sectionOfAlice({ stage, creator: "alice" }), "needs-me");
    assert.equal(sectionOfAlice({ stage, creator: "bob" }), "needs-others");
    assert.equal(sectionOfAlice({ stage }), "needs-others");
  }
  assert.equal(sectionOfAlice({ stage: "analyzing", creator: "alice" }), "in-progress");
  assert.equal(sectionOfAlice({ stage: "pr_merged", creator: "alice" }), "completed");
});

test("nothing needs a user who is not known yet", () => {
  const task = { taskId: "t", eventCount: 0, stage: /** @type {const} */ ("pr_opened") };
  assert.equal(sectionOf({ ...task, creator: "alice" }, {}), "needs-others");
  assert.equal(sectionOf({ ...task, waitsFor: { sub: ["alice"] } }, {}), "needs-others");
});

for (const blocked of [false, true]) {
  test(`a client knows its claims, over ${blocked ? "long polling" : "WebSocket"}`, async () => {
    const relay = new FakeRelay("t");
    relay.blocked = blocked;
    relay.claims = { sub: ["alice"], teams: ["red"] };
    let token = tokenOf("alice");
    const client = connect({ url: "ws://relay.test/ws", token: () => token, host: relay.host });
    assert.deepEqual(client.me, {});
    client.joinDashboard();
    await relay.world.pass(2_000);
    const { me } = client;
    assert.deepEqual(me, relay.claims);
    await relay.append("t", 1);
    await relay.world.pass(2_000);
    assert.equal(client.me, me, "the same object until it changes");
    relay.claims = { sub: ["alice"], teams: ["red", "blue"] };
    token = tokenOf("alice", 1);
    client.renew();
    await settled();
    await relay.append("t", 2);
    await relay.world.pass(2_000);
    assert.deepEqual(client.me, relay.claims);
    client.close();
  });
}

test("a client of a relay that says nothing of claims knows its user, over long polling", async () => {
  const relay = new FakeRelay("t");
  relay.blocked = true;
  const client = connect({ url: "ws://relay.test/ws", token: () => tokenOf("alice"), host: relay.host });
  client.joinDashboard();
  await relay.world.pass(2_000);
  assert.deepEqual(client.me, { sub: ["alice"] });
  client.close();
});

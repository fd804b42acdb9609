// The scenarios of a relay, against the fake relay of task-relay-client/testing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeRelay } from "../../relay/web/testing/index.js";
import { Driver, scenarios } from "./scenarios/scenarios.js";

class FakeDriver extends Driver {
  fake = fakeRelay({ me: "bob" });
  relay = this.fake.relay;
  connect = () => this.fake.connect();
  add = (task) => this.fake.add(task);
  push = (taskId, event, fields) => this.fake.push(taskId, event, fields);
  set = (taskId, fields) => this.fake.set(taskId, fields);
  remove = (taskId) => this.fake.remove(taskId);
  revoke = (taskId) => this.fake.revoke(taskId);
  grant = (taskId) => this.fake.grant(taskId);
  offline = () => this.fake.offline();
  online = () => this.fake.online();
  refuseTokens = () => this.fake.fail(4401);
  signOut = () => this.fake.signOut();
  signIn = () => this.fake.signIn("bob");
  switchOff = () => this.fake.fail(4502);

  /** Everything has happened when the fake relay has settled: there is nothing to wait for. */
  async until(condition) {
    await this.fake.settled();
    assert.ok(condition(), "the fake relay has settled without this");
  }
}

for (const [name, scenario] of Object.entries(scenarios)) {
  test(name, () => scenario(new FakeDriver()));
}

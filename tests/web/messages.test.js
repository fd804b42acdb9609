// Listeners of messages by their type, and messages that only a newer relay knows.

import assert from "node:assert/strict";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { settled } from "./fake-host.js";
import { FakeRelay } from "./fake-relay.js";

async function given() {
  const relay = new FakeRelay("t");
  const client = connect({ url: "ws://relay.test/ws", token: () => "token", host: relay.host });
  const list = client.joinDashboard();
  await settled();
  return { client, list, socket: relay.world.sockets[0] };
}

test("a listener of one type gets the data and the message, after the list has applied it", async () => {
  const { client, list, socket } = await given();
  const heard = [];
  client.on("dashboard:task_list_updated", (data, message) => heard.push([data, message.type, list.size]));
  client.on("task:failed", () => heard.push("failed"));
  const update = { change: "upserted", taskId: "u", eventCount: 0 };
  socket.receive("dashboard:task_list_updated", update);
  assert.deepEqual(heard, [[update, "dashboard:task_list_updated", 2]]);
});

test("a listener is called once for each time it was added, until it is removed or the client closed", async () => {
  const { client, socket } = await given();
  const heard = [];
  const listener = ({ taskId }) => heard.push(taskId);
  const [off] = [client.on("task:failed", listener), client.on("task:failed", listener)];
  socket.receive("task:failed", { taskId: "1" });
  off();
  off();
  socket.receive("task:failed", { taskId: "2" });
  client.close();
  socket.receive("task:failed", { taskId: "3" });
  assert.deepEqual(heard, ["1", "1", "2"]);
});

test("a message or a code that only a newer relay knows ends nothing, and reaches those who ask for it", async () => {
  const { client, list, socket } = await given();
  const heard = [];
  client.onMessage(({ type }) => heard.push(type));
  client.on(/** @type {any} */ ("task:reopened"), (data) => heard.push(data));
  const task = client.joinTask("t");
  await settled();
  heard.length = 0;
  socket.receive("task:reopened", { taskId: "t", by: ["bob"] });
  socket.receive("task:paused", undefined);
  assert.deepEqual(heard, ["task:reopened", { taskId: "t", by: ["bob"] }, "task:paused"]);
  assert.deepEqual([client.status.state, list.state, task.state], ["live", "ready", "ready"]);
  socket.receive("error", { code: "archived", message: "No.", temporary: false, taskId: "t" }, socket.sent.at(-1).id);
  assert.deepEqual([client.status.state, list.state, task.state], ["live", "ready", "archived"]);
});

test("an address that is missing is refused, also in a page, where it could be read as one beside the page", (t) => {
  globalThis.location = /** @type {any} */ ({ href: "https://app.example/tasks", protocol: "https:" });
  t.after(() => Reflect.deleteProperty(globalThis, "location"));
  for (const url of /** @type {any[]} */ ([undefined, null])) {
    assert.throws(() => connect({ url, token: () => "token" }), { name: "TypeError", message: /address is missing: the option `url`/ });
  }
});

test("what is no function is refused as a listener and as a token at once, and not when it would be called", async () => {
  const { client, list } = await given();
  const nothing = /** @type {any} */ (undefined);
  const adding = [
    () => client.on("task:failed", nothing),
    () => client.onMessage(nothing),
    () => client.onStatus(nothing),
    () => list.onChange(nothing),
    () => list.select().onChange(nothing),
    () => client.joinTask("t").onChange(nothing),
  ];
  for (const add of adding) assert.throws(add, { name: "TypeError", message: "A listener is a function, and not undefined." });
  for (const token of /** @type {any[]} */ (["token", null, undefined])) {
    assert.throws(() => connect({ url: "ws://relay.test/ws", token }), { name: "TypeError", message: /`token` is a function/ });
  }
});

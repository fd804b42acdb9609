// What the browser remembers for a user.

import assert from "node:assert/strict";
import test from "node:test";
import { FakeStorage } from "./fake-storage.js";

const heard = new EventTarget();
globalThis.addEventListener = (type, listener) => heard.addEventListener(type, listener);
const { Memory } = await import("../../relay/web/dashboard/memory.js");

function memoryOf(sub, storage = (globalThis.localStorage = new FakeStorage())) {
  globalThis.localStorage = storage;
  const memory = new Memory();
  memory.open(sub);
  return memory;
}

function setElsewhere(key, value) {
  if (key !== null) localStorage.setItem(key, JSON.stringify(value));
  heard.dispatchEvent(Object.assign(new Event("storage"), { key }));
}

test("a value is kept for one user, under the documented key", () => {
  const memory = memoryOf("alice");
  memory.set("orders", { failed: "newest" });
  assert.deepEqual({ ...localStorage }, { "relay.v1.alice.orders": '{"failed":"newest"}' });
  assert.deepEqual(memory.get("orders"), { failed: "newest" });
  memory.open("bob");
  assert.equal(memory.get("orders"), undefined);
  memory.open("alice");
  memory.set("orders", undefined);
  assert.deepEqual({ ...localStorage }, {});
});

test("nothing is kept before the user is known", () => {
  const memory = memoryOf("");
  memory.set("orders", 1);
  assert.equal(memory.get("orders"), undefined);
  assert.deepEqual({ ...localStorage }, {});
});

test("a value that is too long is not kept, and one that cannot be read is none", () => {
  const memory = memoryOf("alice");
  memory.set("marks", "a".repeat(1_000_000));
  assert.equal(memory.get("marks"), undefined);
  localStorage.setItem("relay.v1.alice.marks", "{");
  assert.equal(memory.get("marks"), undefined);
});

test("a browser that refuses the storage remembers nothing and raises nothing", () => {
  const refused = () => {
    throw new DOMException("refused", "SecurityError");
  };
  const memory = memoryOf("alice", { getItem: refused, setItem: refused, removeItem: refused });
  memory.set("orders", 1);
  memory.set("orders", undefined);
  assert.equal(memory.get("orders"), undefined);
  memory.forget();
});

test("what is forgotten is this user's and nobody else's", () => {
  const memory = memoryOf("ann");
  const others = { "relay.v1.ann.smith.orders": "1", "relay.v1.anna.orders": "1", "relay.token": "t" };
  Object.assign(localStorage, others);
  memory.set("orders", 1);
  memory.set("marks", 2);
  memory.forget();
  assert.deepEqual({ ...localStorage }, others);
});

test("a listener is called for a change in another tab and for another user, and for nothing else", () => {
  const memory = memoryOf("alice");
  const seen = [];
  memory.onChange("orders", () => seen.push(memory.get("orders")));
  memory.set("orders", "own");
  setElsewhere("relay.v1.alice.orders", "theirs");
  setElsewhere("relay.v1.alice.marks", 1);
  setElsewhere("relay.v1.bob.orders", 1);
  setElsewhere("orders", 1);
  assert.deepEqual(seen, ["theirs"]);
  memory.open("alice");
  memory.open("bob");
  setElsewhere(null);
  assert.deepEqual(seen, ["theirs", 1, 1]);
});

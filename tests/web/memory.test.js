// What the browser remembers for a user.

import assert from "node:assert/strict";
import test from "node:test";
import { FakeStorage } from "./fake-storage.js";

const heard = new EventTarget();
globalThis.addEventListener = (type, listener) => heard.addEventListener(type, listener);
const { isPast, Memory } = await import("../../relay/web/dashboard/memory.js");

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
  memory.open("bob", { removesOthers: true });
  assert.equal(memory.get("orders"), undefined);
});

test("what a user left is removed when somebody else signs in to the application, and nothing else is", () => {
  const memory = memoryOf("");
  const others = { "relay.v1.ann.smith.orders": "1", "relay.v1.anna.orders": "1" };
  Object.assign(localStorage, { "relay.token": "t", "relay.v1 /live/ ann.orders": "1" }, others);
  const left = () => Object.keys(localStorage).filter((key) => key.startsWith("relay.v1.")).sort();
  memory.open("ann");
  memory.set("orders", 1);
  // A sign-out, or a session that ended overnight, after which she comes back; a link of somebody else.
  for (const sub of ["", "ann", "bob", "", "ann"]) memory.open(sub);
  assert.deepEqual(left(), [...Object.keys(others), "relay.v1.ann.orders"].sort());
  memory.open("");
  memory.open("ann", { removesOthers: true });
  assert.deepEqual([left(), memory.get("orders")], [["relay.v1.ann.orders"], 1]);
  memory.open("ann.smith", { removesOthers: true });
  assert.deepEqual({ ...localStorage }, { "relay.token": "t", "relay.v1 /live/ ann.orders": "1" });
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

test("pages of two relays under two paths of one origin keep to themselves", () => {
  const root = memoryOf("alice");
  const others = ["/live/", "/live/2/"].map((path) => new Memory(path));
  for (const [index, memory] of others.entries()) {
    memory.open("alice");
    assert.equal(memory.get("marks"), undefined);
    memory.set("marks", index);
  }
  root.set("marks", "root");
  assert.deepEqual([root, ...others].map((memory) => memory.get("marks")), ["root", 0, 1]);
  others[0].open("bob", { removesOthers: true });
  assert.deepEqual([root, ...others].map((memory) => memory.get("marks")), ["root", undefined, 1]);
  assert.deepEqual(Object.keys(localStorage).sort(), ["relay.v1 /live/2/ alice.marks", "relay.v1.alice.marks"]);
});

test("a value is said to be kept only if it is", () => {
  const memory = memoryOf("alice");
  assert.ok(memory.set("marks", 1));
  assert.ok(!memory.set("marks", "a".repeat(1_000_000)));
  assert.ok(!memoryOf("").set("marks", 1));
  const full = memoryOf("alice", { getItem: () => null, setItem: () => { throw new DOMException("full", "QuotaExceededError"); } });
  assert.ok(!full.set("marks", 1));
});

test("a remembered time is one that has been", () => {
  const now = Date.now();
  for (const time of [0, now, now + 1000]) assert.ok(isPast(time), String(time));
  for (const time of [now + 86_400_000, 1e300, Infinity, NaN, -1, "5", null, undefined]) assert.ok(!isPast(time), String(time));
});

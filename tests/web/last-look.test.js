// Since when a reader was away, on a clock of the test.

import assert from "node:assert/strict";
import test, { beforeEach, mock } from "node:test";
import { FakeStorage } from "./fake-storage.js";

const MINUTE_MS = 60_000;
const page = Object.assign(new EventTarget(), { hidden: false });
Object.assign(globalThis, { document: page, addEventListener() {}, localStorage: new FakeStorage() });
const { memory } = await import("../../relay/web/dashboard/memory.js");
const { LastLook } = await import("../../relay/web/dashboard/last-look.js");

mock.timers.enable({ apis: ["Date"], now: Date.parse("2026-05-01T08:00:00Z") });

beforeEach(() => {
  globalThis.localStorage = new FakeStorage();
  memory.open("");
  memory.open("alice");
});

/** A page that is looked at from now on. `changes` counts how often it was told of a return. */
function looking() {
  const given = { changes: 0, look: new LastLook(() => (given.changes += 1)) };
  given.look.begin();
  return given;
}

/** Time that passes while the page is visible and the machine awake. */
function pass(look, ms) {
  for (let left = ms; left > 0; left -= 1000) {
    mock.timers.tick(1000);
    look.tick();
  }
}

test("a machine that slept with the page in sight makes its reader one who was away", () => {
  const given = looking();
  const { look } = given;
  pass(look, 20_000);
  const lastSeen = Date.now();
  // When the machine sleeps for a while, no timer runs and nothing hides the page.
  mock.timers.tick(40 * MINUTE_MS);
  look.tick();
  assert.deepEqual([look.since, look.backAt, given.changes], [lastSeen, Date.now(), 1]);
  // It is said until it was seen, and once.
  pass(look, 3 * MINUTE_MS);
  assert.deepEqual([look.since, given.changes], [lastSeen, 1]);
  look.seen();
  pass(look, 3 * MINUTE_MS);
  assert.equal(look.backAt, null);
});

test("a short pause, as of a busy machine, is no absence", () => {
  const { look } = looking();
  pass(look, 20_000);
  mock.timers.tick(4 * MINUTE_MS);
  look.tick();
  assert.equal(look.backAt, null);
});

test("a last look in the future, of a clock that was wrong, is none", () => {
  const tomorrow = Date.now() + 24 * 60 * MINUTE_MS;
  memory.set("look", { since: tomorrow, last: tomorrow, backAt: tomorrow });
  const { look } = looking();
  assert.deepEqual([look.since, look.backAt], [Date.now(), null]);
});

// What counts as read, and since when tasks are where they are: what is remembered of it, and its bounds.

import assert from "node:assert/strict";
import { setMaxListeners } from "node:events";
import test from "node:test";
import { FakeStorage } from "./fake-storage.js";

const heard = new EventTarget();
setMaxListeners(0, heard); // every test has marks of its own
globalThis.addEventListener = (type, listener) => heard.addEventListener(type, listener);
globalThis.localStorage = new FakeStorage();
const { memory } = await import("../../relay/web/dashboard/memory.js");
const { Marks } = await import("../../relay/web/dashboard/marks.js");
const { Stays } = await import("../../relay/web/dashboard/stays.js");

const LONG_AGO = "2026-01-01T00:00:00.000Z";

function task(taskId, change = {}) {
  return { taskId, eventCount: 1, status: "analyzing", stage: "analyzing", createdAt: LONG_AGO, ...change };
}

function tasksOf(count, idOf = (number) => `task-${number}`) {
  return Array.from({ length: count }, (_, number) => task(idOf(number)));
}

function forUser(sub) {
  globalThis.localStorage = new FakeStorage();
  memory.open("");
  memory.open(sub);
}

/** Leaves the page: everything is remembered. */
function leave() {
  heard.dispatchEvent(new Event("pagehide"));
}

function marksOf(tasks) {
  const marks = new Marks();
  marks.begin(tasks);
  return marks;
}

test("on the first visit everything is read, and afterwards what differs from its mark", () => {
  forUser("alice");
  const tasks = tasksOf(3);
  const marks = marksOf(tasks);
  assert.deepEqual(tasks.filter((each) => marks.isUnread(each)), []);
  assert.ok(marks.isUnread(task("task-0", { eventCount: 2 })));
  assert.ok(marks.isUnread(task("task-0", { stage: "failed", status: "failed" })));
  assert.ok(!marks.isUnread(task("task-0", { title: "Another" })));
  assert.ok(marks.isUnread(task("new")));
  leave();
  const later = marksOf([]);
  assert.ok(!later.isUnread(task("task-0")));
  assert.ok(later.isUnread(task("new")));
});

test("a first visit without a task is remembered as well", () => {
  forUser("alice");
  marksOf([]);
  leave();
  assert.ok(marksOf([task("new")]).isUnread(task("new")));
});

test("the newest 2,000 marks are remembered, and of other tasks the time of the last change decides", () => {
  forUser("alice");
  const tasks = tasksOf(2_100);
  const marks = marksOf(tasks);
  const opened = task("task-2099", { eventCount: 5 });
  marks.read([opened]);
  leave();
  const { read } = memory.get("marks");
  assert.equal(read.length, 2_000);
  const later = marksOf(tasks);
  assert.ok(!later.isUnread(opened));
  assert.ok(!later.isUnread(task("task-2050")));
  assert.ok(later.isUnread(task("task-2050", { updatedAt: new Date(Date.now() + 1000).toISOString() })));
  assert.ok(later.isUnread(task("task-3", { eventCount: 2 })));
});

test("with ids of unusual length less is remembered, and never nothing", () => {
  forUser("alice");
  const tasks = tasksOf(2_000, (number) => `${number}`.padStart(300, "x"));
  const stays = new Stays();
  for (const each of tasks) stays.take(each, "analyzing", "in-progress", "first");
  marksOf(tasks);
  leave();
  for (const { length } of [memory.get("marks").read, memory.get("stays")]) {
    assert.ok(length > 400 && length < 2_000, String(length));
  }
});

test("two tabs that set marks at once keep those of both", () => {
  forUser("alice");
  const tasks = tasksOf(3);
  const [one, other] = [marksOf(tasks), marksOf(tasks)];
  leave();
  const changed = tasks.map((each) => ({ ...each, eventCount: 9 }));
  one.read([changed[0]]);
  other.read([changed[1]]);
  leave();
  const later = marksOf([]);
  assert.deepEqual(changed.map((each) => later.isUnread(each)), [false, false, true]);
});

test("what somebody else wrote into the storage harms nothing", () => {
  for (const value of ["null", "7", '"x"', "[1, null, [2]]", '{"since": 1, "read": [null, 7, ["a"], ["b", 2]]}']) {
    forUser("alice");
    for (const name of ["marks", "stays"]) localStorage.setItem(`relay.v1.alice.${name}`, value);
    assert.equal(typeof marksOf(tasksOf(2)).isUnread(task("task-0")), "boolean");
    assert.ok(new Stays().take(task("task-0"), "analyzing", "in-progress", "first").stageAt > 0);
  }
});

test("a task has been in its stage since its last change at the latest, and later changes do not move that", () => {
  forUser("alice");
  const stays = new Stays();
  const met = stays.take(task("a", { updatedAt: "2026-02-01T00:00:00.000Z" }), "review", "needs-me", "first");
  assert.equal(met.stageAt, Date.parse("2026-02-01T00:00:00.000Z"));
  const logged = stays.take(task("a", { updatedAt: "2026-03-01T00:00:00.000Z" }), "review", "needs-me", "live");
  assert.deepEqual(logged, met);
  leave();
  const later = new Stays();
  assert.deepEqual(later.take(task("a", { updatedAt: "2026-04-01T00:00:00.000Z" }), "review", "needs-me", "first"), met);
  // Moved to somebody else: another section, and the same stage.
  const moved = later.take(task("a", { updatedAt: "2026-05-01T00:00:00.000Z" }), "review", "needs-others", "returning");
  assert.equal(moved.stageAt, met.stageAt);
  assert.equal(moved.sectionAt, Date.parse("2026-05-01T00:00:00.000Z"));
});

test("a change that a page sees counts from now, whatever the clock of the writer says", () => {
  forUser("alice");
  const stays = new Stays();
  stays.take(task("a", { updatedAt: LONG_AGO }), "analyzing", "in-progress", "first");
  const before = Date.now();
  const { stageAt } = stays.take(task("a", { updatedAt: "2099-01-01T00:00:00.000Z" }), "failed", "failed", "live");
  assert.ok(stageAt >= before && stageAt <= Date.now());
  const future = stays.take(task("b", { updatedAt: "2099-01-01T00:00:00.000Z" }), "failed", "failed", "first");
  assert.ok(future.stageAt <= Date.now());
});

test("the events of an open task say since when it is in its stage, for its row and its order too", () => {
  const asked = task("a", { stage: "clarification_needed", status: "questions", updatedAt: "2026-02-01T10:00:00Z" });
  const events = ["analyzing", "questions_asked", "log"].map((type, hour) => ({ type, at: `2026-02-01T0${hour}:00:00Z` }));
  const at = (time) => Date.parse(`2026-02-01T${time}:00:00Z`);
  const meet = (stays, met) => stays.take(asked, "questions", "needs-me", met);
  forUser("alice");

  // Met in its stage: its last change was a guess, which a reload does not bring back.
  const stays = new Stays();
  const learned = [];
  stays.onLearned((taskId) => learned.push(taskId));
  assert.equal(meet(stays, "first").stageAt, at("10"));
  assert.equal(stays.enteredAt(asked, []), at("10"));
  assert.equal(stays.enteredAt(asked, events), at("01"));
  assert.equal(stays.enteredAt(asked, events.slice(2)), at("01"));
  assert.deepEqual(learned, ["a"]);
  leave();
  for (const later of [stays, new Stays()]) {
    const { stageAt, sectionAt } = meet(later, "first");
    assert.deepEqual([stageAt, sectionAt], [at("01"), at("01")]);
  }

  // Seen as it happened: the clock of the writer does not move it.
  forUser("bob");
  stays.clear();
  stays.take(asked, "analyzing", "in-progress", "first");
  const seen = meet(stays, "live");
  assert.equal(stays.enteredAt(asked, events), seen.stageAt);

  // It only became visible now: it is new in its section, and old in its stage.
  stays.drop("a");
  const shown = meet(stays, "live");
  assert.equal(stays.enteredAt(asked, events), at("01"));
  assert.deepEqual([meet(stays, "live").stageAt, meet(stays, "live").sectionAt], [at("01"), shown.sectionAt]);
  // Not in the list, or not there yet as it is now, or with events of the future.
  assert.equal(stays.enteredAt({ ...asked, taskId: "other" }, events), at("01"));
  assert.equal(stays.enteredAt({ ...asked, stage: "failed" }, events), at("10"));
  stays.take({ ...asked, taskId: "b" }, "questions", "needs-me", "first");
  assert.equal(stays.enteredAt({ ...asked, taskId: "b" }, events, at("00")), at("00"));
});

test("of 5,000 tasks the 2,000 that changed their stage last are remembered, and none that is gone", () => {
  forUser("alice");
  const stays = new Stays();
  for (let number = 0; number < 5_000; number += 1) {
    const updatedAt = new Date(Date.parse(LONG_AGO) + number).toISOString();
    stays.take(task(`task-${number}`, { updatedAt }), "analyzing", "in-progress", "first");
  }
  stays.drop("task-4999");
  leave();
  const kept = memory.get("stays").map(([taskId]) => taskId);
  assert.equal(kept.length, 2_000);
  assert.equal(kept[0], "task-4998");
});

test("what was read stays read while the storage is full", () => {
  forUser("alice");
  const marks = marksOf(tasksOf(2));
  leave();
  const changed = tasksOf(2).map((each) => ({ ...each, eventCount: 2 }));
  localStorage.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };
  for (const each of changed) {
    marks.read([each]);
    leave(); // as after some time, too
  }
  assert.deepEqual(changed.filter((each) => marks.isUnread(each)), []);
});

test("a task that came to several tabs is not unread again once one of them has read it", () => {
  forUser("alice");
  const [visible, hidden] = [marksOf([]), marksOf([])];
  const came = task("new");
  for (const marks of [visible, hidden]) marks.arrived(came);
  visible.read([came]);
  leave(); // both remember what they have, the hidden one last: its timers come late
  assert.ok(!marksOf([]).isUnread(came));
});

test("times of a clock that was wrong, or of nobody, are not believed", () => {
  const tomorrow = Date.now() + 86_400_000;
  for (const time of [tomorrow, 1e300, -1, "now", null]) {
    forUser("alice");
    memory.set("stays", [["task-0", "analyzing", time, "in-progress", time]]);
    memory.set("marks", { since: time, isComplete: true, read: [["task-1", "other"]] });
    const { stageAt, sectionAt } = new Stays().take(task("task-0"), "analyzing", "in-progress", "first");
    assert.deepEqual([stageAt, sectionAt], [Date.parse(LONG_AGO), Date.parse(LONG_AGO)], String(time));
    assert.ok(!marksOf([task("task-1")]).isUnread(task("task-1")), String(time)); // as on a first visit
  }
});

// The outline of a timeline: nothing is lost, the order stays, and new events move nothing that is being read.

import assert from "node:assert/strict";
import test from "node:test";
import { isNotable, Outline } from "../../relay/web/view/outline.js";

const MINUTE = 60_000;
const START = new Date(2026, 4, 1, 23, 0).getTime(); // an hour before midnight, so that days change
const TYPES = ["log", "log", "log", "tool", "tool", "comment", "pr_opened", "failed", "questions_asked", null];

/** A generator of numbers below a bound, the same in each run. */
function dice(seed) {
  let state = seed;
  return (below) => (state = (state * 48271) % 2147483647) % below;
}

/** A timeline as writers leave it: with holes, without times, with times that go back. */
function timeline(random, length) {
  let at = START;
  return Array.from({ length }, () => {
    at += [0, 1000, 20_000, 2 * MINUTE, 40 * MINUTE, -5 * MINUTE][random(6)];
    if (random(15) === 0) return null;
    const type = TYPES[random(TYPES.length)];
    const data = [{ message: "x" }, "text", null, { data: { level: "error" } }, { n: 1 }][random(12)] ?? { n: 2 };
    return { type, at: random(10) === 0 ? null : new Date(at).toISOString(), data };
  });
}

/** The lines that are shown: the index of the event, what it stands for, and what is written beside it. */
function shown(outline, length) {
  return Array.from({ length }, (_, index) => index)
    .filter((index) => outline.line(index) && !outline.isFolded(index))
    .map((index) => {
      const { kind, day, silence, run } = outline.line(index);
      const isFold = index === run.last && !outline.isUnfolded(run);
      return { index, kind, from: isFold ? run.first : index, day, silence: isFold ? run.silence : silence };
    });
}

function outlineOf(events, how) {
  const outline = new Outline();
  outline.update(events, how);
  return outline;
}

test("consecutive events of one type fold into the last of them, and the lifecycle, questions and errors never", () => {
  const types = ["created", "log", "log", "log", "tool", "failed", "failed", "build_failed", "build_failed", "log", "pr_opened", "pr_opened"];
  const events = types.map((type) => ({ type, at: null, data: {} }));
  const lines = shown(outlineOf(events), events.length).map(({ index, from }) => [from, index]);
  assert.deepEqual(lines, [[0, 0], [1, 3], [4, 4], [5, 5], [6, 6], [7, 7], [8, 8], [9, 9], [10, 10], [11, 11]]);
  for (const data of [{ error: "x" }, { payload: { questions: ["Which?"] } }, { level: "ERROR" }, { stack: "Error\n at x" }]) {
    assert.ok(isNotable({ type: "log", at: null, data }), JSON.stringify(data));
  }
  for (const data of [{ message: "error" }, { error: "" }, { questions: [] }, { level: "info" }, null, "failed", [1]]) {
    assert.ok(!isNotable({ type: "log", at: null, data }), JSON.stringify(data));
  }
});

test("days and silences divide a timeline", () => {
  const at = (...time) => new Date(2026, 4, ...time).toISOString();
  const times = [at(1, 10, 0, 0), at(1, 10, 1, 0), at(1, 10, 13, 0), null, at(1, 10, 13, 30), at(2, 0, 0, 1), at(1, 23, 59)];
  const events = times.map((time) => ({ type: "log", at: time, data: null }));
  const outline = outlineOf(events);
  const lines = events.map((_, index) => outline.line(index));
  assert.deepEqual(lines.map(({ silence }) => silence / MINUTE), [0, 0, 12, 0, 0, 826 + 31 / 60, 0]);
  const days = lines.map(({ day }) => day && new Date(day).getDate());
  assert.deepEqual(days, [1, undefined, undefined, undefined, undefined, 2, 1]);
  assert.deepEqual(shown(outline, 7).map(({ index, silence }) => [index, Math.floor(silence / MINUTE)]), [[4, 12], [5, 826], [6, 0]]);
});

test("a day of any year is that day", () => {
  for (const time of ["0001-01-01T12:00:00Z", "0099-06-01T12:00:00Z", "9999-12-30T12:00:00Z"]) {
    const [first, again] = [0, 1].map((index) => outlineOf([0, 1].map(() => ({ type: "log", at: time, data: null }))).line(index));
    assert.equal(new Date(first.day).toDateString(), new Date(time).toDateString(), time);
    assert.equal(again.day, undefined, time);
  }
});

for (let seed = 1; seed <= 60; seed += 1) {
  test(`nothing is lost, and new events change no line above them (seed ${seed})`, () => {
    const random = dice(seed);
    const events = timeline(random, 80);
    const outline = new Outline();
    for (let length = 0; length < events.length; length += 1 + random(5)) {
      const before = shown(outline, length);
      outline.update(events.slice(0, length));
      const now = outlineOf(events.slice(0, length));
      // Each event is shown, or one line stands for it; in order.
      assert.deepEqual(shown(outline, length), shown(now, length));
      let next = 0;
      for (const { index, from } of shown(outline, length)) {
        assert.equal(from, next);
        for (let each = from; each < index; each += 1) assert.ok(!isNotable(events[each]));
        next = index + 1;
      }
      assert.equal(next, length);
      assert.equal([...outline.counts.values()].reduce((sum, count) => sum + count, 0), length);
      // Only the last line may change with new events, and with a cut not even that.
      assert.deepEqual(shown(outline, length).slice(0, Math.max(0, before.length - 1)), before.slice(0, -1));
      const cut = outlineOf(events, { cut: length });
      assert.deepEqual(shown(cut, events.length).slice(0, shown(outline, length).length), shown(outline, length));
    }
  });

  test(`an outline that follows changes is the one of the events at the end (seed ${seed})`, () => {
    const random = dice(seed);
    const events = timeline(random, 40);
    const outline = new Outline();
    for (let change = 0; change < 40; change += 1) {
      const [fresh] = timeline(random, 1);
      if (random(3) === 0) events.splice(random(events.length + 1));
      else if (random(3) === 0 && events.length > 0) events[random(events.length)] = fresh;
      else events.push(fresh);
      const how = { only: random(4) === 0 ? "Log" : undefined, cut: random(3) === 0 ? random(40) : Infinity };
      outline.update(events, how);
      assert.deepEqual(shown(outline, events.length), shown(outlineOf(events, how), events.length));
      assert.deepEqual(new Map(outline.counts), new Map(outlineOf(events, how).counts));
    }
  });
}

test("a filter shows each event of its kind, and none of another", () => {
  const events = timeline(dice(7), 200);
  const outline = outlineOf(events, { only: "Log" });
  const logs = events.flatMap((event, index) => (event?.type === "log" ? [index] : []));
  assert.deepEqual(shown(outline, 200).map(({ index }) => index), logs);
  assert.equal(outline.counts.get("Log"), logs.length);
  assert.ok(outline.counts.size > 5);
});

test("a run that is unfolded stays so when it grows, when it is written again, and when a cut divides it", () => {
  const events = Array.from({ length: 10 }, () => ({ type: "log", at: null, data: null }));
  const outline = outlineOf(events);
  outline.unfold(outline.line(0).run, true);
  outline.update([...events, events[0]]);
  assert.equal(shown(outline, 11).length, 11);
  outline.update(events.map((event) => ({ ...event })));
  assert.equal(shown(outline, 10).length, 10);
  outline.unfold(outline.line(4).run, false);
  outline.update(events, { cut: 5 });
  assert.deepEqual(shown(outline, 10).map(({ index }) => index), [4, 9]);
  outline.unfold(outline.line(7).run, true);
  outline.hold(2, true);
  assert.deepEqual(shown(outline, 10).map(({ index }) => index), [2, 4, 5, 6, 7, 8, 9]);
  outline.update(events);
  assert.equal(shown(outline, 10).length, 10);
});

test("a timeline of 5,000 events is outlined in a fraction of a second, and one more in a fraction of that", () => {
  const events = timeline(dice(3), 5_000);
  const outline = new Outline();
  const started = process.cpuUsage().user;
  outline.update(events);
  const whole = process.cpuUsage().user - started;
  for (let n = 0; n < 100; n += 1) outline.update([...events, events[n]]);
  const more = (process.cpuUsage().user - started - whole) / 100;
  console.log(`5,000 events: ${(whole / 1000).toFixed(1)} ms, one more: ${(more / 1000).toFixed(2)} ms`);
  assert.ok(whole < 1_000_000);
});

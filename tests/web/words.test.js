// Documents contain any words: names of properties that every object has are treated like unknown words.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { partsOf } from "../../relay/web/view/links.js";
import { isNotable, Outline } from "../../relay/web/view/outline.js";
import { contentOf, textsIn } from "../../relay/web/view/payload.js";
import { verdict } from "../../relay/web/client/protocol.js";
import { matches } from "../../relay/web/view/search.js";
import { sectionOf, waitsForMe } from "../../relay/web/view/sections.js";
import { readable, stageOfEvent, stageOf, stepOfEvent } from "../../relay/web/view/stages.js";
import { reachedAt, stepsOf } from "../../relay/web/view/steps.js";
import { duration, parseTime } from "../../relay/web/view/time.js";
import { subjectOf } from "../../relay/web/client/token.js";
import { answerOf } from "../../relay/web/client/transports/http.js";
import { reasonWords, stateWord } from "../../relay/web/view/words.js";
import { FakeRelay } from "./fake-relay.js";
import { FakeHost, settled } from "./fake-host.js";
import { dashboard, openPage } from "./fake-page.js";

const ORDINARY = "qwertz";
const WORDS = [
  ...Object.getOwnPropertyNames(Object.prototype),
  ...["prototype", "length", "toJSON", "arguments", "undefined"],
];
const EDGE_CASES = ["then", "at", "name", "0", "-1", "1e400", "NaN", "null", "", " ", "_", "task:", "\u0000", "\ud800", "\u202e", "#", "%", "%E0%A4%A", "a.b", "$ref", "\n", "🙂", "x".repeat(2_000)];
const NOW = Date.parse("2026-05-01T12:00:00Z");

/** A task whose every text is this word. */
function taskOf(word) {
  const waitsFor = JSON.parse(`{${JSON.stringify(word)}: [${JSON.stringify(word)}]}`);
  const texts = { title: word, creator: word, status: word, stage: word, createdAt: word, updatedAt: word, issueUrl: word };
  return { taskId: word, eventCount: 1, ...texts, error: word, questions: [word], waitsFor };
}

/** Events as parsed from JSON, where `__proto__` is a field like any other. */
function eventsOf(word) {
  const key = JSON.stringify(word);
  const payloads = [key, `{${key}: ${key}}`, `{"data": {${key}: {${key}: 1}}}`, `{${key}: null, "message": ${key}}`, `[${key}]`, `{"details": ${key}}`];
  return [null, ...payloads.map((data) => JSON.parse(`{"type": ${key}, "at": ${key}, "data": ${data}}`))];
}

/** The result as JSON, with a mark in place of the word in any of its spellings. */
function unworded(shown, word) {
  const shortId = `${word.slice(0, 4)}…${word.slice(-4)}`; // how the head of a task shows a long id
  const spelled = [word, readable(word), encodeURIComponent(word), shortId].map((one) => JSON.stringify(one).slice(1, -1));
  return spelled.reduce((text, one) => text.replaceAll(one, "•"), JSON.stringify(shown, (_, value) => value ?? "none"));
}

function outlineOf(events) {
  const outline = new Outline();
  outline.update(events);
  return [events.map((_, index) => outline.line(index)), [...outline.counts]];
}

function pureResults(word) {
  const task = taskOf(word);
  const events = eventsOf(word);
  const reached = reachedAt(task, events);
  const status = { state: "refused", reason: word };
  return [
    sectionOf(task, {}), waitsForMe(task, {}), waitsForMe(task, task.waitsFor), sectionOf({ ...task, waitsFor: undefined }, { sub: [word] }),
    stageOf(task), stageOf({ ...task, prUrl: word, mergeCommitSha: word }), stepOfEvent(word), stageOfEvent(word), [...reached], stepsOf(task, reached, NOW), parseTime(word),
    duration(NOW), matches(task, ORDINARY.repeat(2)), matches(task, word.toLowerCase()), subjectOf(word), events.map((event) => [contentOf(event?.data), textsIn(event?.data), isNotable(event)]), partsOf(word), outlineOf(events),
    verdict(4000, word), ...[400, 403].map((status) => answerOf(status, JSON.stringify({ data: { code: word, message: "No." } }))), reasonWords(status), stateWord(status),
  ];
}

for (const word of WORDS) {
  test(`a document of the word ${word} is shown like one of any unknown word`, () => {
    assert.equal(unworded(pureResults(word), word), unworded(pureResults(ORDINARY), ORDINARY));
  });
}

for (const blocked of [false, true]) {
  test(`tasks may have any of these words for an id, over ${blocked ? "long polling" : "WebSocket"}`, async () => {
    const relay = new FakeRelay(...WORDS);
    relay.blocked = blocked;
    const client = connect({ url: "ws://relay.test/ws", token: () => "token", host: relay.host });
    const list = client.joinDashboard();
    const selection = list.select();
    const timelines = WORDS.map((word) => client.joinTask(word));
    await relay.world.pass(2_000);
    for (const word of WORDS) await relay.append(word, word);
    await relay.world.pass(2_000);
    for (const timeline of timelines) assert.deepEqual([timeline.state, timeline.events.length], ["ready", 1], timeline.taskId);
    assert.deepEqual(selection.tasks.map(({ taskId }) => taskId).sort(), [...WORDS].sort());
    client.close();
  });
}

test("messages, errors, closes and states of any word do not disturb the client", async () => {
  for (const word of [...WORDS, ...EDGE_CASES]) {
    const world = new FakeHost();
    world.onSocket = (socket) => socket.welcome();
    const client = connect({ url: "ws://relay.test/ws", token: () => "token", host: world.host });
    const [list, timeline] = [client.joinDashboard(), client.joinTask("t")];
    await settled();
    const [socket] = world.sockets;
    const [listed, joined] = socket.sent.map(({ id }) => id);
    socket.receive("dashboard:state", { tasks: [taskOf(word)], reset: true, more: false }, listed);
    const state = { taskId: "t", task: taskOf(word), events: eventsOf(word), from: 0, next: 7, head: word, more: false };
    socket.receive("task:state", state, joined);
    socket.receive(word, {}, word);
    socket.receive("stream:status", { state: word });
    socket.receive("error", { code: word, message: word, temporary: false, taskId: word }, word);
    socket.receive("task:revoked", { taskId: word });
    socket.receive("dashboard:task_list_updated", { change: word, taskId: "nowhere" });
    assert.deepEqual([client.status.state, list.tasks.length, timeline.events.length], ["live", 1, 7], word);
    socket.ends(4502, word);
    assert.equal(client.status.reason, word || "4502");
    client.close();
  }
});

test("no word in a document makes a function of the view throw", () => {
  for (const word of [...WORDS, ...EDGE_CASES]) assert.doesNotThrow(() => pureResults(word), JSON.stringify(word));
});

const page = openPage();
const { Row } = await dashboard("row.js");
const { Announcer } = await dashboard("announcer.js");
const { Attention } = await dashboard("attention.js");
const { TaskView } = await dashboard("task.js");
const { stateText, troubleOf } = await dashboard("freshness.js");

/** What the dashboard shows of this word: a row, the open task, the announcements, and the reason of a refusal. */
function shownOf(word) {
  page.forget();
  const task = taskOf(word);
  const list = { tasks: [task], get: () => task };
  const row = new Row(task);
  row.locate(task, sectionOf(task, {}), { stage: word, stageAt: 0, section: word, sectionAt: 0 }, false);
  row.build();
  row.task = { ...task, status: "failed" };
  row.patch();
  const view = new TaskView(() => undefined);
  view.show({ taskId: word, state: "ready", task, events: eventsOf(word), version: 1 });
  view.render({ listed: task, me: task.waitsFor, links: {} });
  const announcer = new Announcer(() => list);
  const attention = new Attention(() => list, () => task.waitsFor);
  for (const hidden of [false, true]) {
    page.hidden = hidden;
    for (const type of [word, `task:${word}`]) announcer.take({ type, data: { taskId: word } });
    attention.take({ type: "dashboard:state", data: { tasks: [task], more: false } }, "");
    attention.take({ type: "dashboard:task_list_updated", data: { change: "upserted", ...task, stage: "pr_opened" } }, "");
    attention.take({ type: "task:updated", data: { taskId: word, task: { ...task, stage: "failed" } } }, "");
  }
  const shown = page.given;
  view.show({ taskId: word, state: word, task: null, events: [], version: 2 });
  view.render({ me: {}, links: {} });
  const status = { state: "refused", reason: word };
  return [row.section, row.element.given, document.title, shown, page.given, stateText(status), troubleOf(status)];
}

for (const word of WORDS) {
  test(`the dashboard shows a task of the word ${word} like any other`, () => {
    assert.equal(unworded(shownOf(word), word), unworded(shownOf(ORDINARY), ORDINARY));
  });
}

test("the dashboard shows a task of any word of the edge cases", () => {
  for (const word of EDGE_CASES) assert.doesNotThrow(() => shownOf(word), JSON.stringify(word));
});

/** A token with this `sub`, as JSON. */
const tokenOf = (sub) => `e30.${btoa(`{"sub":${sub},"exp":1}`).replaceAll("+", "-").replaceAll("/", "_")}.`;

test("a task is shown in the stage that the relay names, whatever its status is called", () => {
  const shown = (/** @type {object} */ task) => {
    const { stage, label } = stageOf({ taskId: "t", eventCount: 0, ...task });
    return [stage, sectionOf({ taskId: "t", eventCount: 0, ...task }, {}), label];
  };
  assert.deepEqual(shown({ status: "with the bot", stage: "analyzing" }), ["analyzing", "in-progress", "Analyzing"]);
  assert.deepEqual(shown({ status: "shipped", stage: "pr_merged" }), ["done", "completed", "Merged"]);
  assert.deepEqual(shown({ status: "shipped", stage: "of a later relay" }), ["created", "in-progress", "Shipped"]);
});

test("a task of an older relay, which names no stage, is shown with the word of its status", () => {
  const task = { taskId: "t", eventCount: 0, status: "pr_opened" };
  const { stage, label } = stageOf(task);
  assert.deepEqual([stage, sectionOf(task, {}), label], ["created", "in-progress", "PR opened"]);
});

test("a user whose id is a number is named by its digits, as the relay names them", () => {
  for (const [sub, shown] of [["1017", "1017"], ["1017.0", "1017"], ["1.017e3", "1017"], ["0", "0"], ["-0.0", "0"], ["-5", "-5"], ['"01017"', "01017"]]) {
    assert.equal(subjectOf(tokenOf(sub)), shown, sub);
  }
});

test("a user that cannot be read exactly is undefined", () => {
  for (const sub of ["9007199254740993", "1e30", "5.5", "true", "null", '["a"]', "{}"]) assert.equal(subjectOf(tokenOf(sub)), undefined, sub);
});

test("a status or a type that is a number keeps its sign", () => {
  for (const name of ["3", "-3", "0"]) assert.equal(readable(name), name);
});

test("no module looks words up in a plain object, which has properties of its own", () => {
  for (const folder of ["relay/web/client", "relay/web/view", "relay/web/react", "relay/web/dashboard", "examples/react/src"]) {
    const root = new URL(`../../${folder}/`, import.meta.url);
    for (const name of readdirSync(root, { recursive: true }).filter((one) => /\.jsx?$/.test(one))) {
      assert.doesNotMatch(readFileSync(new URL(name, root), "utf8"), /@type \{Record<string|\(\w+ in [A-Z]/, name);
    }
  }
});

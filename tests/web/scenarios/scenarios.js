// What an application sees of a relay, as scenarios that run against the fake relay and against a real one.
//
// Each scenario gets a driver: clients of one user, and what writers and operators do. `until` waits for a condition.
// Ids are unique among all scenarios, because the real relay keeps the tasks of all of them.

import assert from "node:assert/strict";

/** @type {Record<string, (driver: any) => Promise<void>>} */
export const scenarios = {
  async "a list holds every visible task, newest first"(driver) {
    await driver.add({ taskId: "list-1", title: "Old", status: "dispatched", createdAt: "2026-05-01T10:00:00.000Z" });
    await driver.add({ taskId: "list-2", title: "New", status: "failed", error: "No.", creator: "carol", createdAt: "2026-05-01T11:00:00.000Z" });
    const list = driver.relay.joinDashboard();
    await driver.until(() => list.state === "ready");
    assert.deepEqual(sorted(list.tasks), sorted([
      { taskId: "list-2", eventCount: 0, title: "New", status: "failed", stage: "failed", error: "No.", creator: "carol", createdAt: "2026-05-01T11:00:00.000Z", waitsFor: { sub: ["carol"] } },
      { taskId: "list-1", eventCount: 0, title: "Old", status: "dispatched", stage: "dispatched", createdAt: "2026-05-01T10:00:00.000Z" },
    ]));
  },

  async "a list of a limit holds the newest tasks"(driver) {
    for (const taskId of ["limit-1", "limit-2", "limit-3"]) await driver.add({ taskId });
    const list = driver.relay.joinDashboard({ limit: 2 });
    await driver.until(() => list.state === "ready");
    assert.deepEqual(list.tasks.map(({ taskId }) => taskId).sort(), ["limit-2", "limit-3"]);
  },

  async "a timeline holds the events as their writer wrote them"(driver) {
    const note = { type: "note", at: "2026-05-01T12:00:00.000Z", text: "Hello", more: { deep: [1, true, null] } };
    await driver.add({ taskId: "state-1", title: "One", events: [note, { type: "log" }] });
    const timeline = driver.relay.joinTask("state-1");
    await driver.until(() => timeline.state === "ready");
    assert.deepEqual(sorted(timeline.events), sorted([
      { type: "note", at: "2026-05-01T12:00:00.000Z", data: note },
      { type: "log", at: null, data: { type: "log" } },
    ]));
    assert.deepEqual(sorted(timeline.task), sorted({ taskId: "state-1", eventCount: 2, title: "One" }));
  },

  async "a new task is created, has its stage, and appears in the list"(driver) {
    const { list, messages } = await driver.listed();
    await driver.add({ taskId: "new-1", title: "One", status: "analyzing", creator: "carol" });
    await driver.until(() => list.get("new-1"));
    const summary = { taskId: "new-1", eventCount: 0, title: "One", status: "analyzing", stage: "analyzing", creator: "carol" };
    assert.deepEqual(sorted(messages()), sorted([
      ["task:created", { taskId: "new-1", title: "One", status: "analyzing", creator: "carol" }],
      ["task:analyzing", { taskId: "new-1", status: "analyzing" }],
      ["dashboard:task_list_updated", { change: "upserted", ...summary }],
    ]));
  },

  async "an event arrives once in the timeline and counts in the list"(driver) {
    const { list, timeline, messages } = await driver.joined({ taskId: "live-1", events: [{ type: "log" }] });
    await driver.push("live-1", { type: "note", text: "Hello" });
    await driver.until(() => list.get("live-1").eventCount === 2);
    assert.deepEqual(timeline.events.map(({ type }) => type), ["log", "note"]);
    assert.deepEqual(sorted(messages()), sorted([
      ["task:event_added", { taskId: "live-1", index: 1, event: { type: "note", at: null, data: { type: "note", text: "Hello" } }, next: 2 }],
      ["dashboard:task_list_updated", { change: "upserted", taskId: "live-1", eventCount: 2 }],
    ]));
  },

  async "a status sends its lifecycle message, and the same one again sends nothing"(driver) {
    const { list, timeline, messages } = await driver.joined({ taskId: "status-1", status: "analyzing" });
    await driver.set("status-1", { status: "pr_opened", prUrl: "https://git.example/8", prNumber: 8 });
    await driver.set("status-1", { title: "Last" });
    await driver.until(() => list.get("status-1").title === "Last");
    const task = { taskId: "status-1", eventCount: 0, status: "pr_opened", stage: "pr_opened", prUrl: "https://git.example/8", prNumber: 8, waitsFor: {} };
    assert.deepEqual(sorted(messages()), sorted([
      ["task:pr_opened", { taskId: "status-1", status: "pr_opened", prUrl: "https://git.example/8", prNumber: 8 }],
      ["task:updated", { taskId: "status-1", task }],
      ["dashboard:task_list_updated", { change: "upserted", ...task }],
      ["task:updated", { taskId: "status-1", task: { ...task, title: "Last" } }],
      ["dashboard:task_list_updated", { change: "upserted", ...task, title: "Last" }],
    ]));
    assert.equal(timeline.task.title, "Last");
  },

  async "an event and the status that it means, in one change, send one lifecycle message"(driver) {
    const { list, messages } = await driver.joined({ taskId: "both-1", status: "analyzing" });
    await driver.push("both-1", { type: "failed", data: { error: "Out of memory" } }, { status: "failed" });
    await driver.until(() => list.get("both-1").status === "failed");
    assert.deepEqual(types(messages()), [
      "task:event_added", "task:failed", "task:updated", "dashboard:task_list_updated",
    ]);
    assert.deepEqual(sorted(messages()[1][1]), sorted({ taskId: "both-1", status: "failed", error: "Out of memory" }));
  },

  async "an event after its status sends nothing, a second event of the type does"(driver) {
    const { timeline, messages } = await driver.joined({ taskId: "twice-1", status: "analyzing" });
    await driver.set("twice-1", { status: "dispatched" });
    for (const issueNumber of [1, 2]) await driver.push("twice-1", { type: "issue_created", issueNumber });
    await driver.push("twice-1", { type: "prOpened" });
    await driver.push("twice-1", { type: "last" });
    await driver.until(() => timeline.events.length === 4);
    const staged = messages().filter(([type]) => /^task:(dispatched|pr_opened)$/.test(type));
    assert.deepEqual(sorted(staged), sorted([
      ["task:dispatched", { taskId: "twice-1", status: "dispatched" }],
      ["task:dispatched", { taskId: "twice-1", status: "dispatched", issueNumber: 2 }],
      ["task:pr_opened", { taskId: "twice-1", status: "dispatched" }],
    ]));
  },

  async "a field that is removed is absent, and a value that is the same changes nothing"(driver) {
    const { list, messages } = await driver.joined({ taskId: "absent-1", title: "One", error: "No." });
    await driver.set("absent-1", { title: "One" });
    await driver.set("absent-1", { error: undefined });
    await driver.until(() => !("error" in list.get("absent-1")));
    assert.deepEqual(types(messages()), ["task:updated", "dashboard:task_list_updated"]);
  },

  async "a selection follows what its condition keeps"(driver) {
    const { list } = await driver.joined({ taskId: "select-1", status: "failed" });
    const failed = list.select({ where: ({ status }) => status === "failed" });
    /** @type {string[]} */
    const changes = [];
    failed.onChange(({ added, updated, removed }) => changes.push(`+${added.length} ~${updated.length} -${removed.length}`));
    await driver.set("select-1", { title: "Changed" });
    await driver.set("select-1", { status: "analyzing" });
    await driver.set("select-1", { status: "failed" });
    await driver.until(() => changes.length === 3);
    assert.deepEqual(changes, ["+0 ~1 -0", "+0 ~0 -1", "+1 ~0 -0"]);
    assert.deepEqual(failed.tasks.map(({ taskId }) => taskId), ["select-1"]);
  },

  async "a task that is deleted ends its timeline and leaves the list"(driver) {
    const { list, timeline, messages } = await driver.joined({ taskId: "delete-1", events: [{ type: "log" }] });
    await driver.remove("delete-1");
    await driver.until(() => list.size === 0);
    assert.deepEqual([timeline.state, timeline.task, timeline.events], ["deleted", null, []]);
    assert.deepEqual(sorted(messages()), sorted([
      ["task:deleted", { taskId: "delete-1" }],
      ["dashboard:task_list_updated", { change: "deleted", taskId: "delete-1" }],
    ]));
  },

  async "a task that is revoked ends, and is there again with the right to see it"(driver) {
    const { list, timeline, messages } = await driver.joined({ taskId: "revoke-1", events: [{ type: "log" }] });
    await driver.revoke("revoke-1");
    await driver.until(() => list.size === 0);
    assert.deepEqual([timeline.state, timeline.events.length], ["revoked", 0]);
    assert.deepEqual(types(messages()), ["task:revoked", "dashboard:task_list_updated"]);
    await driver.push("revoke-1", { type: "pr_opened" });
    await driver.grant("revoke-1");
    await driver.until(() => timeline.state === "ready");
    assert.deepEqual(timeline.events.map(({ type }) => type), ["log", "pr_opened"]);
    assert.deepEqual(list.tasks.map(({ eventCount }) => eventCount), [2]);
    await driver.set("revoke-1", { status: "pr_opened" }); // what the event has said, though nobody was sent that
    await driver.until(() => list.get("revoke-1").status === "pr_opened");
    assert.ok(!types(messages()).includes("task:pr_opened"));
  },

  async "a client that was offline gets what it missed, once, and no hints of it"(driver) {
    const { list, timeline, messages } = await driver.joined({ taskId: "offline-1", events: [{ type: "log" }] });
    await driver.offline();
    await driver.until(() => driver.relay.status.state === "offline");
    assert.equal(driver.relay.status.reason, "network");
    await driver.push("offline-1", { type: "pr_opened" }, { status: "pr_opened" });
    await driver.push("offline-1", { type: "note" });
    await driver.add({ taskId: "offline-2" });
    assert.equal(timeline.events.length, 1);
    await driver.online();
    await driver.until(() => timeline.events.length === 3 && list.size === 2);
    await driver.push("offline-1", { type: "last" });
    await driver.until(() => timeline.events.length === 4);
    assert.deepEqual(timeline.events.map(({ type }) => type), ["log", "pr_opened", "note", "last"]);
    const states = messages().filter(([type]) => type === "task:state");
    assert.deepEqual(states.map(([, { from, reset }]) => [from, reset]), [[1, false]]);
    assert.ok(!types(messages()).includes("task:pr_opened"));
    await driver.until(() => driver.relay.status.state === "live");
  },

  async "a task that was deleted and added again meanwhile starts over"(driver) {
    const { list, timeline, messages } = await driver.joined({ taskId: "again-1", events: [{ type: "old" }, { type: "older" }] });
    await driver.offline();
    await driver.until(() => driver.relay.status.state === "offline");
    await driver.remove("again-1");
    await driver.add({ taskId: "again-1", events: [{ type: "new" }] });
    await driver.online();
    await driver.until(() => timeline.events.length === 1 && list.get("again-1").eventCount === 1);
    assert.deepEqual(timeline.events.map(({ type }) => type), ["new"]);
    assert.deepEqual(messages().filter(([type]) => type === "task:state").map(([, { reset }]) => reset), [true]);
  },

  async "a task that does not exist is forbidden until it appears"(driver) {
    const { list } = await driver.listed();
    const timeline = driver.relay.joinTask("none-1");
    await driver.until(() => timeline.state !== "loading");
    assert.equal(timeline.state, "forbidden");
    await driver.add({ taskId: "none-1", events: [{ type: "log" }] });
    await driver.until(() => timeline.state === "ready");
    assert.deepEqual([timeline.events.length, list.size], [1, 1]);
  },

  async "two clients of one user see the same, and one that leaves hears nothing"(driver) {
    const { timeline, messages } = await driver.joined({ taskId: "two-1", events: [] });
    const other = driver.connect();
    const [list, second] = [other.joinDashboard(), other.joinTask("two-1")];
    await driver.until(() => list.state === "ready" && second.state === "ready");
    driver.relay.leaveTask("two-1");
    await driver.until(() => types(messages()).includes("task:left"));
    await driver.push("two-1", { type: "note" });
    await driver.until(() => second.events.length === 1 && types(messages()).includes("dashboard:task_list_updated"));
    assert.deepEqual(types(messages()), ["task:left", "dashboard:task_list_updated"]);
    assert.deepEqual([timeline.events.length, list.tasks.map(({ eventCount }) => eventCount)], [0, [1]]);
  },

  async "a token that is refused leaves the client offline, with the reason"(driver) {
    await driver.joined({ taskId: "token-1" });
    await driver.refuseTokens();
    await driver.until(() => driver.relay.status.state === "offline");
    assert.equal(driver.relay.status.reason, "unauthenticated");
  },

  async "a user who signs out is offline, and goes on where it was after signing in"(driver) {
    const { timeline } = await driver.joined({ taskId: "sign-1", events: [{ type: "log" }] });
    await driver.signOut();
    await driver.until(() => driver.relay.status.reason === "no_token");
    await driver.push("sign-1", { type: "note" });
    await driver.signIn();
    await driver.until(() => timeline.events.length === 2);
    assert.equal(driver.relay.me.sub.length, 1);
  },

  async "a client that the rollout leaves out rests, and its list stays readable"(driver) {
    const { list } = await driver.joined({ taskId: "rollout-1" });
    await driver.switchOff();
    await driver.until(() => driver.relay.status.state === "refused");
    assert.equal(driver.relay.status.reason, "feature_disabled");
    assert.equal(list.size, 1);
  },
};

/** @param {[string, any][]} messages */
function types(messages) {
  return messages.map(([type]) => type);
}

/**
 * The same value with the keys of its objects in order. `head` is left out, because its content is nobody's business.
 * @param {any} value
 * @returns {any}
 */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).filter(([name]) => name !== "head").sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([name, inner]) => [name, sorted(inner)]));
}

/** What both drivers do in the same way. */
export class Driver {
  /** The list, joined and complete. */
  async listed() {
    const { relay } = /** @type {any} */ (this);
    const list = relay.joinDashboard();
    await /** @type {any} */ (this).until(() => list.state === "ready");
    return { list, messages: recorded(relay) };
  }

  /** A task and the list, both joined and complete. `messages` returns what came afterwards. */
  async joined(/** @type {any} */ task) {
    const driver = /** @type {any} */ (this);
    await driver.add(task);
    const list = driver.relay.joinDashboard();
    const timeline = driver.relay.joinTask(task.taskId);
    await driver.until(() => list.state === "ready" && timeline.state === "ready");
    return { list, timeline, messages: recorded(driver.relay) };
  }
}

/** @param {any} relay */
function recorded(relay) {
  /** @type {[string, any][]} */
  const messages = [];
  relay.onMessage(({ type, data }) => messages.push([type, data]));
  return () => messages;
}

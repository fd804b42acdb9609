// Joins and leaves when the relay refuses some of them, finally or for a time, over either transport.

import assert from "node:assert/strict";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { FakeHost, settled } from "./fake-host.js";
import { FakeRelay, event } from "./fake-relay.js";

const URL = "ws://relay.test/ws";
const RETRY_MS = 1_000;

/** @param {FakeRelay} relay */
function client({ host }) {
  return connect({ url: URL, token: () => "token", host });
}

/** @param {number} count */
function idsOf(count) {
  return Array.from({ length: count }, (_, n) => `t${n}`);
}

/** @param {FakeRelay} relay requests and polls so far */
function asked({ world, polls }) {
  return polls + world.sockets.reduce((sum, { sent }) => sum + sent.filter(({ type }) => type !== "ping").length, 0);
}

/** The types and tasks of the last requests. */
function sentTo(socket) {
  return socket.sent.map(({ type, data }) => [type, data.taskId ?? data.tasks?.map(({ taskId }) => taskId).join()].filter(Boolean).join(" "));
}

function tooFast(retryAfterMs = RETRY_MS) {
  return { code: "rate_limited", message: "Too many requests.", temporary: true, retryAfterMs };
}

for (const blocked of [false, true]) {
  const over = blocked ? "long polling" : "WebSocket";

  /** @param {string[]} ids */
  function given(...ids) {
    const relay = new FakeRelay(...ids);
    relay.blocked = blocked;
    return { relay, client_: client(relay) };
  }

  test(`a task with an invalid id ends alone, at its join and at every reconnect, over ${over}`, async () => {
    const { relay, client_ } = given("a", "b", "c");
    relay.bad.add("!");
    const list = client_.joinDashboard();
    const timelines = ["a", "!", "b"].map((id) => client_.joinTask(id));
    await relay.world.pass(5_000);
    timelines.push(client_.joinTask("c"));
    await relay.cut();
    await relay.world.pass(20_000);
    await relay.append("c", 1);
    await relay.world.pass(1_000);
    assert.deepEqual(timelines.map(({ state }) => state), ["ready", "bad_request", "ready", "ready"]);
    assert.deepEqual([client_.status.state, timelines[3].events.length], [blocked ? "polling" : "live", 1]);
    assert.deepEqual([list.state, list.get("c")?.eventCount], ["ready", 1]);
    client_.close();
  });

  test(`invalid ids are found among many with few requests, and joined no more, over ${over}`, async () => {
    for (let seed = 1; seed <= 25; seed += 1) {
      const chance = random(seed);
      const ids = idsOf(1 + Math.floor(chance() * 220));
      const { relay, client_ } = given(...ids);
      if (!blocked) relay.limits = { maxTasks: 1_000, messagesPerSecond: 20 };
      for (const id of ids) if (chance() < 0.03) relay.bad.add(id);
      await relay.world.pass(2_000);
      const before = asked(relay);
      const timelines = ids.map((id) => client_.joinTask(id));
      await relay.world.pass(15_000);
      const wrong = timelines.filter(({ taskId, state }) => state !== (relay.bad.has(taskId) ? "bad_request" : "ready"));
      assert.deepEqual(wrong.map(({ taskId, state }) => [taskId, state]), [], `seed ${seed}`);
      const most = 8 + 2 * Math.ceil(Math.log2(ids.length + 1)) * relay.bad.size;
      assert.ok(asked(relay) - before <= most, `seed ${seed}: ${asked(relay) - before} requests for ${ids.length}`);
      const after = asked(relay);
      await relay.cut();
      await relay.world.pass(20_000);
      assert.ok(asked(relay) - after <= 10, `seed ${seed}: ${asked(relay) - after} after a reconnect`);
      assert.ok(timelines.every(({ taskId, state }) => state === (relay.bad.has(taskId) ? "bad_request" : "ready")));
      client_.close();
    }
  });

  test(`tasks over the limit leave the first ones live, over ${over}`, async () => {
    for (const tellsLimit of blocked ? [false] : [false, true]) {
      const { relay, client_ } = given(...idsOf(6));
      relay.maxTasks = 5;
      if (tellsLimit) relay.limits = { maxTasks: 5, messagesPerSecond: 20 };
      const timelines = idsOf(5).map((id) => client_.joinTask(id));
      await relay.world.pass(2_000);
      timelines.push(client_.joinTask("t5"));
      await relay.cut();
      await relay.world.pass(15_000);
      await relay.append("t0", 1);
      await relay.world.pass(1_000);
      // One poll may name five tasks, so six take two polls.
      const last = blocked ? "ready" : "too_many_tasks";
      assert.deepEqual(timelines.map(({ state }) => state), [...Array(5).fill("ready"), last]);
      assert.equal(timelines[0].events.length, 1);
      client_.close();
    }
  });

  test(`a task that is revoked between two pages of its state is dropped at once, over ${over}`, async () => {
    for (const [type, state] of /** @type {const} */ ([["task:revoked", "revoked"], ["task:deleted", "deleted"]])) {
      const { relay, client_ } = given("t");
      const timeline = client_.joinTask("t");
      if (blocked) {
        relay.tasks.set("t", [1, 2, 3].map(event));
        relay.pageSize = 1;
        timeline.onChange(() => relay.hidden.add("t"));
      } else {
        relay.world.onSocket = (socket) => {
          socket.onSent = ({ id }) => {
            const page = { taskId: "t", task: { taskId: "t", eventCount: 2 }, events: [event(1)], from: 0, next: 1, head: "h" };
            socket.receive("task:state", { ...page, reset: true, more: true }, id);
            socket.receive(type, { taskId: "t" });
          };
          socket.welcome();
        };
      }
      await relay.world.pass(3_000);
      assert.deepEqual([timeline.state, timeline.task, timeline.events], [blocked ? "revoked" : state, null, []]);
      relay.hidden.clear();
      client_.close();
    }
  });

  test(`the client sends no needless request, over ${over}`, async () => {
    const { relay, client_ } = given("t");
    client_.joinDashboard();
    client_.joinTask("t");
    await relay.world.pass(2_000);
    client_.leaveTask("t");
    client_.leaveDashboard();
    client_.joinTask("t");
    client_.leaveTask("t");
    await relay.cut();
    await relay.world.pass(60_000);
    const joins = relay.world.sockets.flatMap(({ sent }) => sent).filter(({ type }) => type === "task:join");
    assert.ok(joins.every(({ data }) => data.tasks.length > 0));
    const polls = relay.world.requests.map(({ body }) => body).filter(Boolean);
    assert.ok(polls.every(({ tasks, dashboard }) => dashboard || tasks.length > 0));
    client_.close();
  });
}

test("tasks whose ids fit into no frame end alone, and no frame is larger than the relay accepts", async () => {
  const wide = Array.from({ length: 100 }, (_, n) => `${n}${"é".repeat(1_000)}`);
  const relay = new FakeRelay("t", ...wide);
  relay.limits = { maxMessageBytes: 65_536 };
  const client_ = client(relay);
  const none = ["x".repeat(70_000), "half \ud800", /** @type {any} */ (7)].map((id) => client_.joinTask(id));
  const timelines = ["t", ...wide].map((id) => client_.joinTask(id));
  await settled();
  assert.deepEqual([...none, ...timelines].map(({ state }) => state), [...Array(3).fill("bad_request"), ...Array(101).fill("ready")]);
  const sizes = relay.world.sockets[0].sent.map((frame) => Buffer.byteLength(JSON.stringify(frame)));
  assert.ok(Math.max(...sizes) <= 65_536, `${Math.max(...sizes)} bytes`);
});

test("tasks over the limit of a connection are not joined until another one is left", async () => {
  const relay = new FakeRelay(...idsOf(300));
  relay.maxTasks = 200;
  relay.limits = { maxTasks: 200, messagesPerSecond: 20 };
  const client_ = client(relay);
  const timelines = idsOf(300).map((id) => client_.joinTask(id));
  await settled();
  const states = () => timelines.map(({ state }) => state).filter((state) => state === "ready").length;
  assert.deepEqual([asked(relay), states(), timelines[200].state], [2, 200, "too_many_tasks"]);
  client_.leaveTask("t0");
  relay.rooms(0).delete("t1");
  relay.world.sockets[0].receive("task:revoked", { taskId: "t1" });
  await settled();
  assert.deepEqual(timelines.slice(200, 203).map(({ state }) => state), ["ready", "ready", "too_many_tasks"]);
});

/** Each type of request, with a check that the relay did it. */
const REQUESTS = /** @type {const} */ ([
  ["task:join", (client_) => client_.joinTask("u"), (relay, view) => view.state === "ready"],
  ["dashboard:join", (client_) => client_.joinDashboard(), (relay, view) => view.state === "ready"],
  ["task:leave", (client_) => client_.leaveTask("t"), (relay) => !relay.rooms(0).has("t")],
  ["auth", (_, relay) => relay.world.sockets[0].receive("auth:expiring", { expiresAt: "" }), (relay) => relay.authenticated === 2],
  ["dashboard:leave", (client_) => client_.leaveDashboard(), (relay) => !relay.lists(0)],
]);

for (const [type, ask, isDone] of REQUESTS) {
  for (const code of ["rate_limited", "unavailable", "internal"]) {
    test(`a ${type} that is refused with ${code} is sent again after the time that the relay named`, async () => {
      const relay = new FakeRelay("t", "u");
      const tokens = ["first"];
      const client_ = connect({ url: URL, token: () => tokens[0], host: relay.host });
      client_.joinTask("t");
      if (type === "dashboard:leave") client_.joinDashboard();
      await settled();
      tokens[0] = "second";
      let refusals = 2;
      relay.refuse = (request) => (request.type === type && refusals-- > 0 ? { ...tooFast(), code } : undefined);
      const view = ask(client_, relay);
      await settled();
      for (const refused of [1, 2]) {
        assert.equal(relay.world.sockets[0].sent.filter((request) => request.type === type).length - (type === "task:join" ? 1 : 0), refused);
        await relay.world.pass(RETRY_MS - 1);
        assert.ok(!isDone(relay, view));
        await relay.world.pass(1);
      }
      assert.ok(isDone(relay, view));
      client_.close();
      assert.equal(relay.world.timers, 0);
    });
  }
}

test("a refused request that is no longer wanted is not sent again", async () => {
  const relay = new FakeRelay("t", "u");
  const client_ = client(relay);
  client_.joinTask("t");
  await settled();
  let refusals = 2;
  relay.refuse = () => (refusals-- > 0 ? tooFast() : undefined);
  client_.leaveTask("t");
  client_.joinTask("u");
  await settled();
  client_.joinTask("t");
  client_.leaveTask("u");
  await relay.world.pass(5 * RETRY_MS);
  const sent = sentTo(relay.world.sockets[0]).slice(3);
  assert.ok(!sent.includes("task:leave t") && !sent.includes("task:join u"), sent.join("; "));
  assert.deepEqual([...relay.rooms(0)], ["t"]);
});

test("a client that is refused for its rate keeps to it, and finishes everything", async () => {
  const relay = new FakeRelay(...idsOf(150));
  relay.limits = { maxTasks: 200, messagesPerSecond: 5 };
  let refused = 0;
  let level = 10;
  let at = relay.world.time;
  relay.refuse = ({ type, data }) => {
    level = Math.min(10, level + ((relay.world.time - at) / 1000) * 5);
    at = relay.world.time;
    if (level < 1) return void (refused += 1) ?? tooFast(Math.max(1, Math.round(((1 - level) / 5) * 1000)));
    level -= type === "task:join" ? 1 + (data.tasks.length - 1) / 10 : 1;
    return undefined;
  };
  const client_ = client(relay);
  for (const id of idsOf(150)) client_.joinTask(id);
  await relay.world.pass(3_000);
  for (const id of idsOf(100)) client_.leaveTask(id);
  await relay.world.pass(30_000);
  assert.equal(relay.rooms(0).size, 50);
  assert.ok(refused <= 3, `${refused} were refused`);
  client_.close();
});

/** A client that joins a task it may not see. A test controls the join and its answer step by step. */
async function hidden({ limit } = {}) {
  const world = new FakeHost();
  world.onSocket = (socket) => socket.welcome();
  const client_ = connect({ url: URL, token: () => "token", host: world.host });
  const timeline = client_.joinTask("t");
  client_.joinDashboard({ limit });
  await settled();
  const [socket] = world.sockets;
  const joins = () => socket.sent.filter(({ type }) => type === "task:join");
  const listed = (tasks, replyTo) => socket.receive("dashboard:state", { tasks, reset: true, more: false }, replyTo);
  listed([], socket.sent.find(({ type }) => type === "dashboard:join")?.id);
  const task = { taskId: "t", eventCount: 0 };
  const does = {
    forbidden: () => socket.receive("error", { code: "forbidden", message: "", temporary: false, taskId: "t" }, joins().at(-1)?.id),
    state: () => socket.receive("task:state", { taskId: "t", task, events: [], from: 0, next: 0, head: "h", reset: true, more: false }, joins().at(-1)?.id),
    upserted: () => socket.receive("dashboard:task_list_updated", { change: "upserted", ...task }),
    unlisted: () => socket.receive("dashboard:task_list_updated", { change: "revoked", taskId: "t" }),
    listed: () => listed([task]),
    listedOthers: () => listed([{ taskId: "u", eventCount: 0 }]),
    authorized: () => socket.receive("auth:ok", { expiresAt: "" }),
    revoked: () => socket.receive("task:revoked", { taskId: "t" }),
  };
  return { timeline, joins, does, socket };
}

for (const [order, asks, how] of /** @type {[string, number, {limit?: number}?][]} */ ([
  ["forbidden", 1],
  ["forbidden upserted", 2],
  ["upserted forbidden", 2],
  ["forbidden listed", 2],
  ["listed forbidden", 2],
  ["forbidden authorized", 2],
  ["authorized forbidden", 2],
  ["forbidden listedOthers", 1],
  ["forbidden listedOthers", 2, { limit: 1 }], // the list may be longer than its limit
  ["listedOthers forbidden", 2, { limit: 1 }],
  ["upserted unlisted forbidden", 1],
  ["upserted unlisted upserted forbidden", 2],
  ["upserted forbidden forbidden", 2], // it was visible only briefly
  ["upserted forbidden upserted forbidden", 3],
  ["state revoked", 1],
  ["state revoked upserted", 2],
  ["state revoked listed forbidden", 2],
  ["state revoked upserted listed forbidden", 3],
])) {
  test(`a task that becomes visible is joined again: ${order}${how ? " in a list that is cut" : ""}`, async () => {
    const { timeline, joins, does } = await hidden(how);
    for (const step of order.split(" ")) {
      does[/** @type {keyof typeof does} */ (step)]();
      await settled();
    }
    assert.equal(joins().length, asks);
    if (asks === order.split(" ").filter((step) => step === "forbidden" || step === "state").length) {
      assert.ok(["forbidden", "revoked"].includes(timeline.state), timeline.state);
    } else {
      does.state();
      assert.equal(timeline.state, "ready");
    }
  });
}

test("a task that becomes visible while polling is shown, in any order of the messages", async () => {
  const relay = new FakeRelay("t");
  relay.blocked = true;
  relay.hidden.add("t");
  const client_ = client(relay);
  const timeline = client_.joinTask("t");
  client_.joinDashboard();
  await relay.world.pass(2_000);
  assert.equal(timeline.state, "forbidden");
  relay.hidden.clear();
  relay.answerWaiting();
  await relay.world.pass(2_000);
  assert.equal(timeline.state, "ready");
  client_.close();
});

test("a task that is revoked while its next state is awaited is dropped before the state arrives", async () => {
  const { timeline, does, socket } = await hidden();
  does.state();
  socket.receive("task:event_added", { taskId: "t", index: 3, event: null, next: 4, head: "h" }); // a gap: the client joins again
  await settled();
  does.revoked();
  assert.deepEqual([timeline.state, timeline.task], ["revoked", null]);
  does.state();
  assert.equal(timeline.state, "ready");
});

test("many polls that are too fast together are sent in turn, and the status stays", async () => {
  const relay = new FakeRelay(...idsOf(900));
  relay.blocked = true;
  const serve = relay.world.onRequest;
  let level = 40;
  let at = relay.world.time;
  relay.world.onRequest = (request) => {
    if (request.path !== "/poll") return serve(request);
    level = Math.min(40, level + ((relay.world.time - at) / 1000) * 20);
    at = relay.world.time;
    if (level < 1) return request.answers(429, { data: tooFast(Math.round(((1 - level) / 20) * 1000)) });
    level -= 1 + (request.body.tasks.length - 1) / 10;
    serve(request);
  };
  const client_ = client(relay);
  const timelines = idsOf(900).map((id) => client_.joinTask(id));
  const states = new Set();
  await relay.world.pass(2_000);
  client_.onStatus(({ state }) => states.add(state));
  await relay.world.pass(8_000);
  assert.ok(timelines.every(({ state }) => state === "ready"));
  assert.deepEqual([...states], []);
  client_.close();
});

/** @param {number} seed */
function random(seed) {
  return () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
}

test("a list that is joined with the connection takes one round trip, and is joined by a request ever after", async () => {
  const relay = new FakeRelay("a");
  const client_ = connect({ url: "ws://relay.test/live/ws", token: () => "token", host: relay.host, joinEarly: true });
  const list = client_.joinDashboard({ limit: 5000 });
  client_.joinTask("a");
  await relay.world.pass(10);
  const [first] = relay.world.sockets;
  assert.equal(first.url, "ws://relay.test/live/ws/dashboard?limit=5000");
  assert.deepEqual(first.sent.map(({ type }) => type), ["task:join"]);
  assert.deepEqual([list.state, list.size], ["ready", 1]);
  await relay.append("b", 1);
  assert.equal(list.size, 2);
  await relay.cut();
  await relay.world.pass(5_000);
  const last = relay.world.sockets.at(-1);
  assert.equal(last.url, "ws://relay.test/live/ws");
  assert.deepEqual(last.sent.map(({ type }) => type), ["dashboard:join", "task:join"]);
  assert.equal(list.size, 2);
  client_.close();
});

test("a client whose list is left, or wanted with another limit, before the connection is there, asks for what it wants", async () => {
  for (const limit of [undefined, 7]) {
    const relay = new FakeRelay("a");
    const client_ = connect({ url: "ws://relay.test/ws", token: () => "token", host: relay.host, joinEarly: true });
    client_.joinDashboard({ limit: 5 });
    relay.world.onSocket = () => {};
    await settled();
    const [socket] = relay.world.sockets;
    client_.leaveDashboard();
    const list = limit === undefined ? null : client_.joinDashboard({ limit });
    socket.welcome();
    socket.receive("dashboard:state", { tasks: [], reset: true, more: false });
    await settled();
    const wanted = limit === undefined ? ["dashboard:leave"] : ["dashboard:join"];
    assert.deepEqual(socket.sent.map(({ type }) => type), wanted);
    if (list) assert.equal(list.state, "loading");
    client_.close();
  }
});

test("a list that could not be read for the connection is asked for again", async () => {
  const relay = new FakeRelay("a");
  let refusals = 1;
  relay.refuse = ({ type }) => (type === "dashboard:join" && refusals-- > 0
    ? { code: "unavailable", message: "Later.", temporary: true, retryAfterMs: 50 } : undefined);
  const client_ = connect({ url: "ws://relay.test/ws", token: () => "token", host: relay.host, joinEarly: true });
  const list = client_.joinDashboard();
  await relay.world.pass(10);
  assert.equal(list.state, "loading");
  await relay.world.pass(100);
  assert.equal(list.state, "ready");
  client_.close();
});

test("a client behind a proxy that does not forward the address of the list is live with the next attempt", async () => {
  const relay = new FakeRelay("a");
  const greet = relay.world.onSocket;
  relay.world.onSocket = (socket) => (socket.url.includes("dashboard") ? socket.ends() : greet(socket));
  const client_ = connect({ url: "ws://relay.test/ws", token: () => "token", host: relay.host, joinEarly: true });
  const list = client_.joinDashboard();
  await relay.world.pass(3_000);
  assert.deepEqual([client_.status.state, list.state], ["live", "ready"]);
  client_.close();
});

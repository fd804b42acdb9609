// The connection: transports, attempts and statuses, on a fake clock and network.

import assert from "node:assert/strict";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { FakeRelay } from "./fake-relay.js";
import { FakeHost, settled } from "./fake-host.js";
import { tokenOf } from "./fake-token.js";

const SOCKET = "ws://relay.test/ws";

/**
 * A client of this relay, with its messages and statuses.
 * @param {{host: import("../../relay/web/client/host.js").Host}} relay
 * @param {() => string | Promise<string>} [token]
 */
function client({ host }, token = () => "token") {
  const relay = connect({ url: SOCKET, token, host });
  /** @type {string[]} */
  const states = [];
  relay.onStatus(({ state }) => states.at(-1) === state || states.push(state));
  return { relay, states };
}

/** @param {FakeHost} world */
const requested = (world) => world.requests.map(({ path }) => path);

test("the client polls beside the address of the WebSocket, relative to any path", async () => {
  const world = new FakeHost();
  const relay = connect({ url: "https://relay.test/live/ws", token: () => "t", host: world.host });
  world.onSocket = (socket) => socket.ends();
  await world.pass(5_000);
  assert.equal(world.sockets[0].url, "wss://relay.test/live/ws");
  assert.equal(world.requests[0].url, "https://relay.test/live/config");
  world.requests[0].answers(200, { enabled: true });
  relay.joinDashboard();
  await settled();
  const later = world.requests.slice(1).map(({ url, token }) => [url, token]);
  assert.deepEqual(later, [["https://relay.test/live/ws", undefined], ["https://relay.test/live/poll", "t"]]);
});

test("the client polls after two WebSockets in a row failed, if the relay answers over HTTP", async () => {
  const relay = new FakeRelay("t");
  relay.blocked = true;
  const { relay: client_, states } = client(relay);
  const timeline = client_.joinTask("t");
  await relay.world.pass(2_000);
  assert.equal(client_.status.state, "polling");
  assert.deepEqual(states, ["offline", "connecting", "offline", "connecting", "polling"]);
  assert.equal(relay.world.sockets.length, 3); // the last one was tried while HTTP got through
  assert.equal(timeline.state, "ready");
  await relay.append("t", 1);
  assert.equal(timeline.events.length, 1);
});

test("the client waits only once for a handshake that is swallowed", async () => {
  const relay = new FakeRelay();
  relay.world.onSocket = () => {};
  const { relay: client_ } = client(relay);
  await relay.world.pass(10_500 + 5_000);
  assert.equal(relay.world.sockets.length, 2);
  assert.equal(client_.status.state, "polling");
});

test("after WebSockets that opened and broke, the client tries another one while HTTP gets through, before it polls", async () => {
  for (const isBlocked of [false, true]) {
    const relay = new FakeRelay();
    const { relay: client_ } = client(relay);
    await settled();
    assert.equal(client_.status.state, "live");
    await relay.cut();
    await relay.world.pass(600);
    assert.equal(client_.status.state, "live");
    relay.blocked = isBlocked;
    await relay.cut();
    await relay.world.pass(1_000);
    assert.equal(relay.world.sockets.length, 3);
    assert.equal(client_.status.state, isBlocked ? "polling" : "live");
  }
});

for (const [reason, code] of /** @type {const} */ ([["restart", 1001], ["at_capacity", 4430], ["stalled", 4408]])) {
  test(`a client whose WebSocket was closed with a reason (${reason}) does not poll`, async () => {
    const world = new FakeHost();
    world.onSocket = (socket) => socket.ends(code, reason);
    const { relay } = client(world);
    await world.pass(60_000);
    assert.ok(world.sockets.length > 4);
    assert.deepEqual(world.requests, []);
    assert.equal(relay.status.reason, reason);
  });
}

test("while nothing answers, the client tries both transports in turn and takes the first that opens", async () => {
  const relay = new FakeRelay("t");
  relay.down = true;
  const { relay: client_, states } = client(relay);
  await relay.world.pass(60_000);
  assert.ok(relay.world.sockets.length > 3);
  assert.ok(requested(relay.world).length > 1);
  assert.ok(!states.includes("polling"));
  relay.down = false;
  await relay.world.pass(20_000);
  assert.ok(["live", "polling"].includes(client_.status.state));
  await relay.world.pass(20_000);
  assert.equal(client_.status.state, "live");
});

test("a client that polls tries a WebSocket with growing pauses, and changes to it", async () => {
  const relay = new FakeRelay("t");
  relay.blocked = true;
  const { relay: client_ } = client(relay);
  const timeline = client_.joinTask("t");
  await relay.world.pass(2_000);
  await relay.append("t", 1);
  const looks = [];
  for (let minute = 0; minute < 60; minute += 1) {
    const before = relay.world.sockets.length;
    await relay.world.pass(60_000);
    looks.push(relay.world.sockets.length - before);
  }
  assert.equal(looks[0], 2); // after 10 s and 20 s more
  assert.equal(looks.slice(20).reduce((sum, one) => sum + one), 8); // every five minutes
  assert.equal(client_.status.state, "polling");
  relay.blocked = false;
  await relay.world.pass(300_000);
  assert.equal(client_.status.state, "live");
  // It continues from its position, and the waiting poll is aborted.
  const [join] = relay.world.sockets.at(-1).sent;
  assert.deepEqual([join.type, join.data.tasks[0].since], ["task:join", 1]);
  assert.ok(relay.world.requests.at(-1)?.aborted);
  const polls = relay.polls;
  await relay.append("t", 2);
  await relay.world.pass(60_000);
  assert.equal(relay.polls, polls);
  assert.deepEqual(timeline.events.map((one) => one?.data), [1, 2]);
});

test("a client that polls tries a WebSocket at once when the machine comes online or the page becomes visible", async () => {
  for (const event of ["online", "visible"]) {
    const relay = new FakeRelay("t");
    relay.blocked = true;
    const { relay: client_ } = client(relay);
    client_.joinTask("t");
    await relay.world.pass(2_000);
    const polls = relay.polls;
    relay.blocked = false;
    await relay.world.dispatch(event);
    assert.equal(client_.status.state, "live", event);
    assert.ok(relay.polls > polls); // and the client did not wait for a poll on a dead network
  }
});

test("events during the request to /config do not keep the client from polling", async () => {
  const world = new FakeHost();
  world.onSocket = (socket) => socket.ends();
  const { relay } = client(world);
  await world.pass(2_000);
  for (const event of ["offline", "online", "visible"]) await world.dispatch(event);
  assert.deepEqual([world.requests.length, world.requests[0].aborted], [1, false]);
  world.requests[0].answers(200, { enabled: true });
  await settled();
  assert.equal(relay.status.state, "polling");
});

test("a client that changes transports any number of times loses and repeats nothing", async () => {
  /** @type {object[]} */
  const wrong = [];
  let moved = 0;
  for (let seed = 1; seed <= 40; seed += 1) {
    const chance = random(seed);
    const relay = new FakeRelay("a", "b");
    const { relay: client_ } = client(relay);
    const timelines = ["a", "b"].map((taskId) => client_.joinTask(taskId));
    const list = client_.joinDashboard();
    /** @type {Record<string, number>} */
    const received = { a: 0, b: 0 };
    let polled = 0;
    client_.onMessage(({ type, data }) => {
      if (type !== "task:event_added" && type !== "task:state") return;
      const from = type === "task:state" ? data.from : data.index;
      if (from !== received[data.taskId]) wrong.push({ seed, type, from, received: received[data.taskId] });
      received[data.taskId] = data.next;
      if (client_.status.state === "polling") polled += 1;
    });
    for (let step = 0; step < 60; step += 1) {
      const dice = chance();
      if (dice < 0.5) await relay.append(chance() < 0.5 ? "a" : "b", step);
      else if (dice < 0.6) await relay.cut();
      else if (dice < 0.7) relay.blocked = !relay.blocked;
      else if (dice < 0.75) relay.down = !relay.down;
      else if (dice < 0.8) await relay.world.dispatch("online");
      else await relay.world.pass(chance() * 30_000);
    }
    relay.blocked = relay.down = false;
    await relay.world.pass(400_000);
    assert.equal(client_.status.state, "live");
    for (const timeline of timelines) {
      assert.deepEqual(timeline.events, relay.tasks.get(timeline.taskId), `seed ${seed}`);
      assert.equal(list.get(timeline.taskId)?.eventCount, timeline.events.length);
    }
    if (polled > 2) moved += 1;
    client_.close();
  }
  assert.deepEqual(wrong, []);
  assert.ok(moved > 20, `only ${moved} of 40 polled`);
});

test("the backoff doubles up to 20 s, and starts again after a healthy connection", async () => {
  const world = new FakeHost();
  world.onSocket = (socket) => socket.ends(1011, "internal error");
  const { relay } = client(world);
  const waits = [];
  for (let failure = 0; failure < 8; failure += 1) {
    await settled();
    assert.equal(relay.status.state, "offline");
    const wait = (relay.status.nextTryAt ?? 0) - world.time;
    waits.push(Math.round(wait));
    await world.pass(wait);
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16000, 20000, 20000]);
  world.onSocket = (socket) => socket.welcome();
  await world.pass(20_000);
  assert.equal(relay.status.state, "live");
  await world.pass(10_000);
  world.sockets.at(-1)?.ends(1011, "internal error");
  assert.equal(Math.round((relay.status.nextTryAt ?? 0) - world.time), 500);
});

test("a connection that is silent for two and a half heartbeats ends", async () => {
  const world = new FakeHost();
  world.onSocket = (socket) => socket.welcome(10_000);
  const { relay, states } = client(world);
  await world.pass(24_000);
  world.sockets[0].receive("heartbeat", { serverTime: "" });
  await world.pass(24_999);
  assert.equal(world.sockets.length, 1);
  await world.pass(1);
  assert.equal(relay.status.reason, "silent");
  assert.ok(world.sockets[0].closed);
  await world.pass(500);
  assert.deepEqual(states, ["live", "offline", "connecting", "live"]);
});

test("a poll that is not answered is aborted, and another one is sent", async () => {
  const relay = new FakeRelay("t");
  relay.blocked = true;
  const { relay: client_ } = client(relay);
  client_.joinTask("t");
  await relay.world.pass(2_000);
  relay.holdsPolls = true;
  const polls = relay.polls;
  await relay.world.pass(36_000);
  assert.ok(relay.polls > polls);
  assert.equal(client_.status.state, "polling");
});

test("the client stops where the feature is switched off, over either transport", async () => {
  /** @type {((relay: FakeRelay) => void)[]} */
  const ways = [
    (relay) => void (relay.world.onSocket = (socket) => socket.ends(4502, "feature_disabled")),
    (relay) => void (relay.blocked = !(relay.enabled = false)),
    (relay) => {
      relay.blocked = true;
      const serve = relay.world.onRequest;
      relay.world.onRequest = (request) => {
        if (request.path === "/config") serve(request);
        else request.answers(403, { data: { code: "feature_disabled", message: "feature_disabled" } });
      };
    },
  ];
  for (const turnOff of ways) {
    const relay = new FakeRelay("t");
    turnOff(relay);
    const { relay: client_ } = client(relay);
    client_.joinTask("t");
    await relay.world.pass(5_000);
    assert.deepEqual([client_.status.state, client_.status.reason], ["refused", "feature_disabled"]);
    const tries = relay.world.sockets.length + relay.world.requests.length;
    await relay.world.pass(600_000);
    assert.equal(relay.world.sockets.length + relay.world.requests.length, tries);
  }
});

test("the client renews the token of a live connection before it expires", async () => {
  const world = new FakeHost();
  world.onSocket = (socket) => socket.welcome();
  const tokens = ["first", "second"];
  client(world, () => tokens.shift() ?? "second");
  await settled();
  world.sockets[0].receive("auth:expiring", { expiresAt: "" });
  await settled();
  assert.deepEqual(world.sockets[0].sent.map(({ type, data }) => [type, data]), [["auth", { token: "second" }]]);
});

test("the client polls with a fresh token when the old one has expired, and reports no interruption", async () => {
  const relay = new FakeRelay("t");
  relay.blocked = true;
  let token = "first";
  const serve = relay.world.onRequest;
  relay.world.onRequest = (request) => {
    if (request.token === token) serve(request);
    else request.answers(401, { data: { code: "forbidden", message: "token_expired" } });
  };
  const { relay: client_, states } = client(relay, () => token);
  const timeline = client_.joinTask("t");
  await relay.world.pass(2_000);
  await relay.world.pass(15_000);
  states.length = 0;
  token = "second";
  await relay.append("t", 1);
  await relay.world.pass(1_000);
  assert.equal(timeline.events.length, 1);
  assert.deepEqual(states, ["connecting", "polling"]);
});

test("a client that polls renews its token before it ends, each time once, and reports that it was accepted", async () => {
  const relay = new FakeRelay("t");
  relay.blocked = true;
  const { world } = relay;
  const ends = new Map([[tokenOf("bob", 1), world.time + 60_000]]);
  const endOf = ({ token }) => (ends.get(token) ?? 0) - world.time;
  const serve = world.onRequest;
  world.onRequest = (request) => {
    if (request.path === "/config") return serve(request);
    if (endOf(request) <= 0) return request.answers(401, { data: { code: "forbidden", message: "token_expired" } });
    // As the relay does: the notice comes with every answer of the last 30 s.
    const answers = request.answers.bind(request);
    request.answers = (status, body) => {
      const notice = { type: "auth:expiring", data: { expiresAt: "2026-05-01T12:00:00.000Z" } };
      if (status === 200 && endOf(request) <= 30_000) body.messages.push(notice);
      answers(status, body);
    };
    serve(request);
  };
  let asked = 0;
  let give = () => [...ends.keys()].at(-1);
  const { relay: client_, states } = client(relay, () => {
    asked += 1;
    return give();
  });
  const renewed = [];
  client_.onMessage(({ type }) => type.startsWith("auth:") && renewed.push(type));
  client_.joinTask("t");
  /** Polls are answered once a second. */
  const live = async (seconds) => {
    for (let second = 0; second < seconds; second += 1) {
      await relay.append("t", second);
      await world.pass(1_000);
    }
  };
  await live(2);
  states.length = 0;

  // In its last 30 s there is no fresh token yet: many answers, and a question every five seconds.
  await live(30);
  [asked, renewed.length] = [0, 0];
  await live(10);
  assert.ok(renewed.length >= 9 && renewed.every((type) => type === "auth:expiring"), String(renewed));
  assert.equal(asked, 2);
  ends.set(tokenOf("bob", 2), world.time + 100_000);
  await live(6);
  assert.equal(renewed.at(-1), "auth:ok");
  assert.equal(client_.stats.endsAt, 0);
  await live(30);

  // Where every token is short, each one is used for some seconds.
  give = () => {
    const token = tokenOf("bob", ends.size + 1);
    ends.set(token, world.time + 20_000);
    return token;
  };
  await live(50);
  asked = 0;
  await live(20);
  assert.ok(asked >= 3 && asked <= 4, String(asked));
  assert.deepEqual(states, []);
  client_.close();
});

test("tokens of a few seconds that end are replaced at once, and no interruption but a connecting is reported", async () => {
  const world = new FakeHost();
  let serial = 1;
  const { relay: client_, states } = client(world, () => tokenOf("bob", serial));
  world.onSocket = (socket) => socket.welcome();
  await settled();
  for (serial = 2; serial < 6; serial += 1) {
    await world.pass(4_000);
    world.sockets.at(-1).ends(4401, "token_expired");
    await settled();
    assert.equal(client_.status.state, "live");
  }
  assert.ok(!states.includes("offline"), String(states));
  // One that is refused at once is not brought again and again.
  world.onSocket = (socket) => socket.ends(4401, "token_expired");
  serial = 7;
  await world.pass(4_000);
  world.sockets.at(-1).ends(4401, "token_expired");
  await settled();
  const tried = world.sockets.length;
  serial = 8;
  await world.pass(500);
  assert.equal(client_.status.state, "offline");
  assert.equal(world.sockets.length, tried);
  client_.close();
});

/**
 * A client that polls, and whose polls are refused until the returned function is called.
 * @param {number} status
 * @param {string} code
 */
async function refused(status, code) {
  const relay = new FakeRelay("t");
  relay.blocked = true;
  const serve = relay.world.onRequest;
  const { relay: client_ } = client(relay);
  client_.joinTask("t");
  await relay.world.pass(2_000);
  relay.world.onRequest = (request) => request.answers(status, { data: { code, message: "", retryAfterMs: 7_000 } });
  await relay.append("t", 1);
  await relay.world.pass(500); // polls with content follow each other at a pace
  return { relay, client_, serve: () => void (relay.world.onRequest = serve) };
}

test("the client waits for the time that the relay named, unless retry() is called", async () => {
  const { relay, client_, serve } = await refused(503, "unavailable");
  assert.deepEqual([client_.status.state, client_.status.reason], ["offline", "unavailable"]);
  serve();
  await relay.world.pass(6_000);
  await relay.world.dispatch("online");
  assert.equal(client_.status.state, "offline");
  await relay.world.pass(1_000);
  assert.equal(client_.status.state, "polling");
});

test("a poll that came too fast is delayed, and the status changes only if that does not help", async () => {
  const { relay, client_, serve } = await refused(429, "rate_limited");
  assert.equal(client_.status.state, "polling");
  const polls = relay.polls;
  serve();
  await relay.world.pass(6_000);
  assert.equal(relay.polls, polls);
  await relay.world.pass(1_000);
  assert.equal(relay.polls, polls + 1);

  const { relay: busy, client_: hopeless } = await refused(429, "rate_limited");
  await busy.world.pass(13_000);
  assert.equal(hopeless.status.state, "polling");
  await busy.world.pass(1_500);
  assert.deepEqual([hopeless.status.state, hopeless.status.reason], ["offline", "rate_limited"]);
});

test("the status is stale while the relay says so, over either transport", async () => {
  const relay = new FakeRelay("t");
  const { relay: live } = client(relay);
  await settled();
  relay.world.sockets[0].receive("stream:status", { state: "stale", lagMs: 1 });
  assert.equal(live.status.state, "stale");
  relay.world.sockets[0].receive("stream:status", { state: "live", lagMs: 0 });
  assert.equal(live.status.state, "live");
  live.close();

  const world = new FakeHost();
  world.onSocket = (socket) => socket.ends();
  const { relay: polling } = client(world);
  polling.joinTask("t");
  await world.pass(2_000);
  world.requests[0].answers(200, { enabled: true });
  await settled();
  const stale = { type: "stream:status", data: { state: "stale", lagMs: 0 } };
  for (const [messages, state] of /** @type {const} */ ([[[stale], "stale"], [[stale], "stale"], [[], "polling"]])) {
    world.requests.at(-1)?.answers(200, { messages, moment: "1.1" });
    await world.pass(500);
    assert.equal(polling.status.state, state);
  }
});

for (const body of ["<html>Please sign in</html>", "{}", "null"]) {
  test(`a captive portal that answers ${body} is not taken for a relay`, async () => {
    const world = new FakeHost();
    world.onSocket = (socket) => socket.ends();
    world.onRequest = (request) => request.answers(200, body);
    const { states } = client(world);
    await world.pass(60_000);
    assert.ok(!states.includes("polling"));
    assert.ok(!states.includes("refused"));
  });
}

test("a client that is closed in any state leaves no timer and no request", async () => {
  for (const prepare of [
    (/** @type {FakeRelay} */ relay) => void (relay.blocked = false),
    (/** @type {FakeRelay} */ relay) => void (relay.blocked = true),
    (/** @type {FakeRelay} */ relay) => void (relay.down = true),
  ]) {
    const relay = new FakeRelay("t");
    prepare(relay);
    const { relay: client_ } = client(relay);
    client_.joinTask("t");
    await relay.world.pass(3_000);
    client_.close();
    await relay.world.pass(30_000);
    const tries = relay.world.sockets.length + relay.world.requests.length;
    assert.equal(relay.world.timers, 0);
    assert.equal(relay.world.listening, 0);
    await relay.world.pass(600_000);
    assert.equal(relay.world.sockets.length + relay.world.requests.length, tries);
  }
});

/** @param {number} seed */
function random(seed) {
  return () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
}

// The environment of a page: no network for a while, no WebSocket, an origin that is not allowed.

import assert from "node:assert/strict";
import test from "node:test";
import { inspect } from "node:util";
import { connect } from "../../relay/web/client/index.js";
import { FakeRelay } from "./fake-relay.js";
import { FakeHost, settled } from "./fake-host.js";

const URL_ = "ws://relay.test/ws";

function client(host, url = URL_) {
  const client_ = connect({ url, token: () => "token", host });
  const statuses = [];
  client_.onStatus((status) => statuses.push(status));
  return { client_, statuses, states: () => [...new Set(statuses.map(({ state }) => state))] };
}

/** @param {number} seed */
function random(seed) {
  return () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
}

for (const awayMs of [0, 300, 700, 1_500, 3_000, 8_000, 20_000, 60_000]) {
  for (const livedMs of [0, 3_000, 15_000]) {
    test(`a client without a network for ${awayMs} ms, ${livedMs} ms after it was live, returns to a WebSocket`, async () => {
      for (const event of ["online", "visible"]) {
        const relay = new FakeRelay("t");
        const { client_, states } = client(relay.host);
        client_.joinTask("t");
        await relay.world.pass(livedMs);
        relay.down = true;
        await relay.world.dispatch("offline");
        await relay.cut();
        await relay.world.pass(awayMs);
        relay.down = false;
        await relay.world.dispatch(event);
        assert.equal(client_.status.state, "live");
        assert.ok(!states().includes("polling"), JSON.stringify(states()));
        client_.close();
      }
    });
  }
}

test("a client does not poll because of a lost network, however often and with or without an offline event", async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const chance = random(seed);
    const relay = new FakeRelay("t");
    relay.world.randomness = 0.99 * chance();
    const { client_, states } = client(relay.host);
    client_.joinTask("t");
    for (let time = 0; time < 12; time += 1) {
      relay.down = true;
      if (chance() < 0.5) await relay.world.dispatch("offline");
      await relay.cut();
      await relay.world.pass(chance() * 30_000);
      relay.down = false;
      if (chance() < 0.5) await relay.world.dispatch("online");
      await relay.world.pass(20_000 + chance() * 30_000);
      assert.equal(client_.status.state, "live");
    }
    assert.ok(!states().includes("polling"), `seed ${seed}: ${JSON.stringify(states())}`);
    client_.close();
  }
});

test("a machine that slept during a handshake returns to a WebSocket", async () => {
  const relay = new FakeRelay("t");
  const greet = relay.world.onSocket;
  relay.world.onSocket = () => {}; // the machine sleeps: neither an answer nor a failure arrives
  const { client_, states } = client(relay.host);
  await settled();
  relay.world.onSocket = greet;
  await relay.world.pass(3_600_000);
  await relay.world.dispatch("visible");
  assert.equal(client_.status.state, "live");
  assert.ok(!states().includes("polling"));
});

test("a client in a network that swallows everything for seconds returns to a WebSocket", async () => {
  for (const awayMs of [1_000, 9_000, 11_000, 14_000, 25_000, 40_000]) {
    const relay = new FakeRelay("t");
    const { onSocket, onRequest } = relay.world;
    relay.world.onSocket = relay.world.onRequest = () => {};
    const { client_, states } = client(relay.host);
    await relay.world.pass(awayMs);
    Object.assign(relay.world, { onSocket, onRequest });
    await relay.world.pass(40_000);
    assert.equal(client_.status.state, "live", awayMs);
    assert.ok(!states().includes("polling"), `${awayMs}: ${JSON.stringify(states())}`);
    client_.close();
  }
});

test("a client does not poll because of repeated resets of all connections", async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const chance = random(seed);
    const relay = new FakeRelay("t");
    relay.world.randomness = 0.99 * chance();
    const { client_, states } = client(relay.host);
    client_.joinTask("t");
    await settled();
    for (let time = 0; time < 8; time += 1) {
      relay.down = true;
      await relay.cut();
      await relay.world.pass(100 + chance() * 2_000);
      relay.down = false;
      await relay.world.pass(1_000 + chance() * 5_000);
    }
    await relay.world.pass(25_000);
    assert.equal(client_.status.state, "live", `seed ${seed}`);
    assert.ok(!states().includes("polling"), `seed ${seed}: ${JSON.stringify(states())}`);
    client_.close();
  }
});

test("a client waits for a handshake that takes seconds after an outage", async () => {
  const relay = new FakeRelay("t");
  relay.down = true;
  const { onSocket } = relay.world;
  const { client_, states } = client(relay.host);
  await relay.world.pass(20_000);
  relay.down = false;
  relay.world.onSocket = (socket) => relay.host.setTimeout(() => onSocket(socket), 4_500);
  await relay.world.pass(40_000);
  assert.equal(client_.status.state, "live");
  assert.ok(!states().includes("polling"), JSON.stringify(states()));
});

test("a client that learns during the last WebSocket attempt why it failed does not poll", async () => {
  for (const [code, reason, state] of [[1001, "restart", "offline"], [4430, "at_capacity", "offline"], [4502, "feature_disabled", "refused"]]) {
    const world = new FakeHost();
    world.onSocket = (socket) => (world.sockets.length < 3 ? socket.ends() : socket.ends(code, reason));
    world.onRequest = (request) => request.answers(200, { enabled: true });
    const { client_, states } = client(world.host);
    await world.pass(1_550);
    assert.deepEqual([client_.status.state, client_.status.reason], [state, reason]);
    assert.ok(!states().includes("polling"));
    client_.close();
  }
});

test("a client does not poll if the network is lost during the last WebSocket attempt", async () => {
  const world = new FakeHost();
  world.onSocket = (socket) => void (world.sockets.length < 3 && socket.ends());
  world.onRequest = (request) => request.answers(200, { enabled: true });
  const { client_, states } = client(world.host);
  await world.pass(1_550);
  assert.equal(world.sockets.length, 3);
  await world.dispatch("offline");
  world.sockets[2].ends();
  assert.equal(client_.status.state, "offline");
  assert.ok(!states().includes("polling"));
});

const MAKE_NONE = [
  ["there is none", () => { throw new ReferenceError("WebSocket is not defined"); }],
  ["it is no constructor", () => { throw new TypeError("WebSocket is not a constructor"); }],
  ["it is forbidden", () => { throw new DOMException("insecure", "SecurityError"); }],
];

for (const [why, openSocket] of MAKE_NONE) {
  test(`a client that cannot make a WebSocket (${why}) polls at once, and names the reason`, async () => {
    const relay = new FakeRelay("t");
    const { client_, statuses } = client({ ...relay.host, openSocket });
    const timeline = client_.joinTask("t");
    await settled();
    assert.deepEqual([client_.status.state, client_.status.reason], ["polling", "no_websocket"]);
    await relay.append("t", 1);
    await relay.world.pass(600); // between two polls
    assert.equal(timeline.events.length, 1);
    assert.ok(!statuses.some(({ state, reason }) => state === "refused" || reason === "bad_token"));
    // While the relay is away the client is offline, and it connects again afterwards.
    relay.down = true;
    await relay.cut();
    await relay.world.pass(20_000);
    assert.equal(client_.status.reason, "network");
    relay.down = false;
    await relay.world.pass(25_000);
    assert.deepEqual([client_.status.state, client_.status.reason], ["polling", "no_websocket"]);
  });
}

test("a client changes to a WebSocket that can be made later, and drops the reason", async () => {
  const relay = new FakeRelay("t");
  let isThere = false;
  const openSocket = (...given) => (isThere ? relay.host.openSocket(...given) : MAKE_NONE[0][1]());
  const { client_ } = client({ ...relay.host, openSocket });
  await settled();
  assert.equal(client_.status.state, "polling");
  isThere = true;
  await relay.world.dispatch("visible");
  assert.deepEqual(client_.status, { state: "live" });
});

test("an http relay under an https page is reported as mixed content, and tried slowly", async () => {
  const before = globalThis.location;
  globalThis.location = { protocol: "https:", href: "https://app.test/tasks" };
  try {
    for (const isThrown of [true, false]) {
      const relay = new FakeRelay("t");
      relay.down = true; // as in a browser that blocks every request
      const openSocket = isThrown ? MAKE_NONE[2][1] : relay.host.openSocket;
      const { client_ } = client({ ...relay.host, openSocket }, "http://relay.test/ws");
      await relay.world.pass(3_000);
      assert.deepEqual([client_.status.state, client_.status.reason], ["offline", "mixed_content"]);
      await relay.world.pass(600_000);
      const tries = () => relay.world.sockets.length + relay.world.requests.length;
      const before_ = tries();
      await relay.world.pass(600_000);
      assert.ok(tries() - before_ < 65, `${tries() - before_} in ten minutes`);
      client_.close();
    }
    // The own machine counts as secure, and so does the relay that serves the page.
    for (const url of ["ws://localhost:8080/ws", "http://127.0.0.1:8080/ws", "ws://[::1]/ws", "wss://relay.test/ws", "/ws"]) {
      const relay = new FakeRelay("t");
      relay.down = true;
      const { client_ } = client(relay.host, url);
      await relay.world.pass(3_000);
      assert.equal(client_.status.reason, "network", url);
      client_.close();
    }
  } finally {
    globalThis.location = before;
  }
});

test("the fragment of an address is sent nowhere", async () => {
  const world = new FakeHost();
  world.onSocket = (socket) => socket.ends();
  const { client_ } = client(world.host, "https://relay.test/live/ws#token=secret");
  await world.pass(2_000);
  assert.deepEqual([...new Set(world.sockets.map(({ url }) => url))], ["wss://relay.test/live/ws"]);
  assert.equal(world.requests[0].url, "https://relay.test/live/config");
  client_.close();
});

test("an invalid address is refused at once, and the error does not repeat it", () => {
  for (const url of ["ftp://relay.test/ws", "file:///ws", "relay.test:80/ws", "data:,secret", "blob:secret", "javascript:secret", "/ws", "", "http://", "ws://[secret"]) {
    assert.throws(() => client(new FakeHost().host, url), (error) => error instanceof TypeError && !inspect(error).includes("secret"), url);
  }
  // Check everything that a console shows of the error, for any fault of the address, with and without a page.
  const before = globalThis.location;
  for (const location of [undefined, { protocol: "https:", href: "https://app.test/" }]) {
    globalThis.location = location;
    try {
      for (const url of ["http://[x?token=secret", "/ws?token=secret", "//secret:x", "http://secret:99999", "http://a b?secret", "ws://%secret"]) {
        try {
          client(new FakeHost().host, url).client_.close();
        } catch (error) {
          assert.ok(error instanceof TypeError && !inspect(error, { showHidden: true }).replace(error.stack, "").includes("secret"), url);
          assert.ok(!error.stack.includes("secret"), url);
        }
      }
    } finally {
      globalThis.location = before;
    }
  }
});

/** A page whose origin is not allowed: a browser lets it read only the answer to a request without a token. */
function foreign(relay, isAllowed) {
  const { onSocket, onRequest } = relay.world;
  relay.world.onSocket = (socket) => (isAllowed() ? onSocket(socket) : socket.ends());
  relay.world.onRequest = (request) => {
    if (isAllowed()) return onRequest(request);
    if (request.token !== undefined || request.path !== "/config") return request.fails(); // its preflight fails
    request.answers(403, { type: "error", data: { code: "forbidden", message: "origin_not_allowed", temporary: false } });
  };
}

test("a page whose origin is not allowed learns so, and connects once it is allowed", async () => {
  const relay = new FakeRelay("t");
  let isAllowed = false;
  foreign(relay, () => isAllowed);
  const { client_, statuses } = client(relay.host);
  await relay.world.pass(3_000);
  assert.deepEqual([client_.status.state, client_.status.reason], ["offline", "origin_not_allowed"]);
  statuses.length = 0;
  await relay.world.pass(600_000);
  assert.ok(statuses.every(({ reason }) => reason === "origin_not_allowed"));
  const before = relay.world.requests.length;
  await relay.world.pass(600_000);
  assert.ok(relay.world.requests.length - before < 100, `${relay.world.requests.length - before} in ten minutes`);
  isAllowed = true;
  await relay.world.pass(31_000);
  assert.deepEqual(client_.status, { state: "live" });
});

test("a client whose relay is away sends no more requests without a token than with one", async () => {
  const relay = new FakeRelay("t");
  relay.down = true;
  const { client_ } = client(relay.host);
  await relay.world.pass(120_000);
  assert.equal(client_.status.reason, "network");
  const bare = relay.world.requests.filter(({ token }) => token === undefined);
  assert.ok(bare.length <= relay.world.requests.length / 2);
  assert.ok(bare.every(({ path, body }) => path === "/config" && body === null));
});

for (const [what, answer] of [
  ["a token is missing", (request) => request.answers(401, { data: { code: "forbidden", message: "unauthenticated" } })],
  ["anything", (request) => request.answers(200, "<html>origin_not_allowed</html>")],
  ["another refusal", (request) => request.answers(403, "forbidden")],
]) {
  test(`an answer of ${what} to the request without a token is not taken for a reason`, async () => {
    const world = new FakeHost();
    world.onSocket = (socket) => socket.ends();
    world.onRequest = (request) => (request.token === undefined ? answer(request) : request.fails());
    const { client_ } = client(world.host);
    await world.pass(2_000);
    assert.deepEqual([client_.status.state, client_.status.reason], ["offline", "network"]);
    client_.close();
  });
}

/** What answers every request in place of the relay. */
const OTHERS = [
  ["a page", (request) => request.answers(200, "<!doctype html><title>Please sign in</title>")],
  ["other JSON", (request) => request.answers(200, {})],
  ["404", (request) => request.answers(404, "Not Found")],
  ["a redirect", (request) => request.answers(302, "")],
  ["403 of a proxy", (request) => request.answers(403, "Forbidden")],
  ["400 of a proxy", (request) => request.answers(400, "Bad Request")],
];

for (const [what, answer] of OTHERS) {
  test(`a client to whom ${what} answers says that the relay is not there, and connects once it is`, async () => {
    const relay = new FakeRelay("t");
    const { onSocket } = relay.world;
    relay.world.onSocket = (socket) => socket.ends();
    relay.world.onRequest = answer;
    const { client_, statuses } = client(relay.host);
    await relay.world.pass(3_000);
    assert.deepEqual([client_.status.state, client_.status.reason], ["offline", "not_found"]);
    // It stays so while WebSockets and polls are tried in turn,
    statuses.length = 0;
    await relay.world.pass(120_000);
    assert.deepEqual([...new Set(statuses.map(({ reason }) => reason))], ["not_found"]);
    // until the network is away;
    relay.world.onRequest = (request) => request.fails();
    await relay.world.pass(45_000);
    assert.equal(client_.status.reason, "network");
    // and where a proxy forwards nothing but /ws, a WebSocket is enough.
    relay.world.onRequest = answer;
    await relay.world.pass(45_000);
    assert.equal(client_.status.reason, "not_found");
    relay.world.onSocket = onSocket;
    await relay.world.pass(45_000);
    assert.deepEqual(client_.status, { state: "live" });
    client_.close();
  });
}

for (const [what, answer, reason] of /** @type {const} */ ([
  ["426, as the relay does", (request) => request.answers(426, ""), "blocked"],
  ["502", (request) => request.answers(502, ""), "blocked"],
  ["nothing", () => {}, "blocked"],
  ["with an error", (request) => request.fails(), "blocked"],
  ["404", (request) => request.answers(404, ""), "not_found"],
  ["another page", (request) => request.answers(200, "<!doctype html>"), "not_found"],
])) {
  test(`a client that polls says ${reason} where the address of the WebSocket answers ${what}`, async () => {
    const relay = new FakeRelay("t");
    relay.blocked = true;
    const serve = relay.world.onRequest;
    relay.world.onRequest = (request) => (request.path === "/ws" ? answer(request) : serve(request));
    const { client_ } = client(relay.host);
    client_.joinTask("t");
    await relay.world.pass(10_000);
    assert.deepEqual(client_.status, { state: "polling", reason });
    const asked = relay.world.requests.filter(({ path }) => path === "/ws");
    assert.deepEqual(asked.map(({ token, body }) => [token, body]), [[undefined, null]]); // once, and without the token
    client_.close();
    await settled();
    assert.ok(asked.every(({ over }) => over));
  });
}

test("a page whose polls alone are refused for its origin learns so", async () => {
  // As behind a proxy with https that the relay does not know of: a GET of its own page has no Origin, and succeeds.
  const relay = new FakeRelay("t");
  relay.blocked = true;
  const serve = relay.world.onRequest;
  relay.world.onRequest = (request) => {
    if (request.path === "/config") return serve(request);
    request.answers(403, { data: { code: "forbidden", message: "origin_not_allowed" } });
  };
  const { client_ } = client(relay.host);
  client_.joinTask("t");
  await relay.world.pass(5_000);
  assert.deepEqual([client_.status.state, client_.status.reason], ["offline", "origin_not_allowed"]);
  relay.blocked = false;
  await relay.world.pass(31_000);
  assert.equal(client_.status.state, "live");
});

for (const awayMs of [0, 5_000, 3_600_000]) {
  test(`a client whose page was set aside for ${awayMs} ms is closed meanwhile, and connects at once afterwards`, async () => {
    const relay = new FakeRelay("t");
    const { client_, statuses } = client(relay.host);
    const timeline = client_.joinTask("t");
    await relay.world.pass(1_000);
    assert.equal(timeline.state, "ready");
    const before = relay.world.sockets.length;
    await relay.world.dispatch("suspended");
    await relay.world.dispatch("suspended"); // first as it is left, then as it is frozen
    assert.ok(relay.world.sockets.every(({ closed }) => closed));
    client_.renew(); // a token of another tab
    await relay.world.pass(awayMs);
    assert.deepEqual([client_.status.state, relay.world.sockets.length], ["connecting", before]);
    await relay.world.dispatch("resumed");
    await relay.world.dispatch("resumed");
    await relay.world.dispatch("visible");
    assert.deepEqual([client_.status.state, relay.world.sockets.length], ["live", before + 1]);
    assert.ok(statuses.every(({ state }) => state !== "offline" && state !== "polling"));
    await relay.world.pass(100);
    assert.equal(timeline.state, "ready");
    client_.close();
  });
}

test("a client that becomes visible before its page is said to be back connects once", async () => {
  const relay = new FakeRelay("t");
  const { client_ } = client(relay.host);
  await relay.world.pass(1_000);
  await relay.world.dispatch("suspended");
  await relay.world.dispatch("visible");
  await relay.world.dispatch("resumed");
  assert.deepEqual([client_.status.state, relay.world.sockets.length], ["live", 2]);
  client_.close();
});

test("a client that waits before its next attempt goes on waiting while its page is set aside", async () => {
  const relay = new FakeRelay("t");
  const { client_ } = client(relay.host);
  await relay.world.pass(1_000);
  relay.down = true;
  await relay.cut();
  await relay.world.pass(100);
  assert.equal(client_.status.state, "offline");
  await relay.world.dispatch("suspended");
  assert.equal(client_.status.state, "offline");
  relay.down = false;
  await relay.world.dispatch("visible");
  assert.equal(client_.status.state, "live");
  client_.close();
});

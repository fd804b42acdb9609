// Token functions that fail in any way, and pages that recover by themselves; on a fake clock.

import assert from "node:assert/strict";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { FakeRelay } from "./fake-relay.js";
import { FakeHost, settled } from "./fake-host.js";
import { rawToken, tokenOf } from "./fake-token.js";

const URL = "ws://relay.test/ws";
const never = () => new Promise(() => {});

/** A relay that accepts the tokens in `good`, over either transport, and refuses the others with `word`. */
function relayFor(good, { blocked = false, word = "unauthenticated" } = {}) {
  const relay = new FakeRelay("t");
  relay.blocked = blocked;
  const { onSocket, onRequest } = relay.world;
  const presented = [];
  relay.world.onSocket = (socket) => {
    if (!blocked) presented.push(socket.token);
    if (blocked || good.has(socket.token)) onSocket(socket);
    else socket.ends(4401, word);
  };
  relay.world.onRequest = (request) => {
    presented.push(request.token);
    if (good.has(request.token)) onRequest(request);
    else request.answers(401, { data: { code: "forbidden", message: word } });
  };
  return Object.assign(relay, { presented });
}

/** @param {FakeRelay} relay */
function client(relay, token) {
  const asked = [];
  const client_ = connect({ url: URL, host: relay.host, token: () => (asked.push(relay.world.time), token()) });
  const statuses = [];
  client_.onStatus((status) => statuses.push(status));
  return { client_, asked, statuses };
}

/** Every way to return no token, and its reason. */
const TROUBLES = [
  ["gives an empty text", () => "", "no_token"],
  ["gives null", () => null, "no_token"],
  ["gives nothing", () => undefined, "no_token"],
  ["gives blanks", () => " \n", "no_token"],
  ["gives a promise of nothing", async () => undefined, "no_token"],
  ["gives no text", () => ({ token: "t" }), "no_token"],
  ["gives a number", () => 7, "no_token"],
  ["gives a Response", async () => new Response("t"), "no_token"],
  ["gives what no token is", () => "two words", "bad_token"],
  ["gives ends of lines within", () => "one\r\ntwo", "bad_token"],
  ["gives letters no header has", () => "tökén", "bad_token"],
  ["throws", () => { throw new Error("signed out"); }, "token_unavailable"],
  ["rejects", () => Promise.reject(new Error("503")), "token_unavailable"],
  ["rejects with nothing", () => Promise.reject(), "token_unavailable"],
  ["never settles", never, "token_unavailable"],
];

for (const blocked of [false, true]) {
  for (const [what, misbehave, reason] of TROUBLES) {
    test(`a token function that ${what} at first is called again, over ${blocked ? "polls" : "WebSocket"}`, async () => {
      const relay = relayFor(new Set(["good"]), { blocked });
      let ready = false;
      const { client_, asked } = client(relay, () => (ready ? "good" : misbehave()));
      await relay.world.pass(15_000);
      assert.deepEqual([client_.status.state, client_.status.reason], ["offline", reason]);
      assert.ok(client_.status.nextTryAt > relay.world.time);
      assert.deepEqual(relay.presented, []);
      // While nothing changes, it is called with growing pauses, forever.
      await relay.world.pass(600_000);
      const before = asked.length;
      await relay.world.pass(600_000);
      assert.ok(asked.length > before + 10, `${asked.length - before} times in ten minutes`);
      assert.ok(asked.length < before + 70, `${asked.length - before} times in ten minutes`);
      ready = true;
      await relay.world.pass(30_000 + 15_000 + 5_000);
      assert.equal(client_.status.state, blocked ? "polling" : "live");
      client_.close();
    });
  }
}

for (const [what, misbehave] of TROUBLES) {
  test(`a token function that ${what} is called again at once when the page wakes, or calls renew()`, async () => {
    for (const wake of ["online", "visible", "retry"]) {
      const relay = relayFor(new Set(["good"]));
      let ready = false;
      const { client_ } = client(relay, () => (ready ? "good" : misbehave()));
      await relay.world.pass(100_000);
      while (client_.status.state !== "offline") await relay.world.pass(1_000);
      ready = true;
      if (wake === "retry") client_.retry();
      else await relay.world.dispatch(wake);
      await settled();
      assert.equal(client_.status.state, "live", wake);
    }
  });
}

test("an answer of the token function after its time limit is ignored", async () => {
  const relay = relayFor(new Set(["good"]));
  const late = [];
  const { client_, statuses } = client(relay, () => (late.length < 2 ? new Promise((done) => late.push(done)) : "good"));
  await relay.world.pass(35_000);
  assert.equal(client_.status.state, "live");
  statuses.length = 0;
  late[0]("stale");
  late[1]("");
  await relay.world.pass(50_000);
  assert.deepEqual([statuses, relay.presented], [[], ["good"]]);
});

test("a token function that hangs or has no fresh token is called again while the old token is valid", async () => {
  for (const misbehave of [never, () => "first", () => "", () => { throw new Error(); }]) {
    const world = new FakeHost();
    world.onSocket = (socket) => socket.welcome();
    let token = () => "first";
    const relay = connect({ url: URL, host: world.host, token: () => token() });
    await settled();
    token = misbehave;
    world.sockets[0].receive("auth:expiring", { expiresAt: "" });
    await world.pass(16_000);
    token = () => "second";
    await world.pass(5_000);
    const offered = world.sockets[0].sent.filter(({ type }) => type === "auth");
    assert.deepEqual(offered.map(({ data }) => data.token), ["second"]);
    assert.equal(world.sockets.length, 1);
    relay.close();
  }
});

test("a WebSocket attempt beside polling is followed by another one, even while the token function hangs", async () => {
  const relay = new FakeRelay("t");
  relay.blocked = true;
  let hangs = false;
  const { client_ } = client(relay, () => (hangs ? never() : "good"));
  client_.joinTask("t");
  await relay.world.pass(2_000);
  hangs = true;
  await relay.world.pass(60_000);
  assert.equal(client_.status.state, "polling");
  hangs = relay.blocked = false;
  await relay.world.pass(300_000);
  assert.equal(client_.status.state, "live");
});

for (const blocked of [false, true]) {
  test(`an expired token is not used again, and a fresh one at once, over ${blocked ? "polls" : "WebSocket"}`, async () => {
    const good = new Set(["first"]);
    const relay = relayFor(good, { blocked, word: "token_expired" });
    let token = "first";
    const { client_ } = client(relay, () => token);
    client_.joinTask("t");
    await relay.world.pass(15_000);
    good.delete("first");
    if (blocked) await relay.append("t", 1); // the next poll is refused
    else relay.world.sockets[0].ends(4401, "token_expired");
    await relay.world.pass(700);
    assert.deepEqual([client_.status.state, client_.status.reason], ["offline", "token_expired"]);
    const presented = relay.presented.length;
    await relay.world.pass(120_000);
    assert.equal(relay.presented.length, presented);
    // When the application has a fresh token,
    good.add(token = "second");
    await relay.world.pass(30_000);
    assert.equal(client_.status.state, blocked ? "polling" : "live");
  });

  test(`a page survives a secret that is replaced in one place first, over ${blocked ? "polls" : "WebSocket"}`, async () => {
    // Given a relay that knows only tokens of the old secret, and an application that signs with the new one,
    const good = new Set(["old"]);
    const relay = relayFor(good, { blocked });
    const { client_ } = client(relay, () => "new");
    client_.joinTask("t");
    await relay.world.pass(600_000);
    assert.equal(client_.status.reason, "unauthenticated");
    const before = relay.presented.length;
    await relay.world.pass(600_000);
    assert.ok(relay.presented.length - before < 50, `${relay.presented.length - before} times in ten minutes`);
    // when the relay has the new secret as well, then the same token is soon accepted.
    good.add("new");
    await relay.world.pass(32_000);
    assert.equal(client_.status.state, blocked ? "polling" : "live");
  });
}

for (const blocked of [false, true]) {
  const over = blocked ? "polls" : "WebSocket";
  const online = blocked ? "polling" : "live";

  /** A client that was connected with the token `first` when an operator disconnected its user. */
  async function disconnected() {
    const relay = new FakeRelay("t");
    relay.blocked = blocked;
    const presented = [];
    let isThrownOut = false; // with the next poll
    const { onSocket, onRequest } = relay.world;
    relay.world.onSocket = (socket) => {
      if (!blocked) presented.push(socket.token);
      onSocket(socket);
    };
    relay.world.onRequest = (request) => {
      presented.push(request.token);
      if (!isThrownOut) return onRequest(request);
      isThrownOut = false;
      request.answers(403, { data: { code: "forbidden", message: "disconnected" } });
    };
    const session = { token: "first" };
    const { client_, asked } = client(relay, () => session.token);
    client_.joinTask("t");
    await relay.world.pass(15_000);
    assert.equal(client_.status.state, online);
    isThrownOut = blocked;
    if (blocked) await relay.append("t", 1);
    else relay.world.sockets[0].ends(4403, "disconnected");
    await relay.world.pass(1_500);
    presented.length = asked.length = 0;
    return { relay, client_, asked, presented, session };
  }

  test(`a disconnected user does not come back with the same token, over ${over}`, async () => {
    const { relay, client_, asked, presented } = await disconnected();
    assert.deepEqual([client_.status.state, client_.status.reason], ["offline", "disconnected"]);
    // However long it lasts, and whatever wakes the page, the function is asked slowly and nothing is sent.
    await relay.world.pass(600_000);
    assert.ok(asked.length >= 20 && asked.length <= 25, `${asked.length} times in ten minutes`);
    for (const moment of ["online", "visible"]) await relay.world.dispatch(moment);
    await client_.renew();
    await relay.world.pass(30_000);
    assert.deepEqual([client_.status.reason, presented], ["disconnected", []]);
    client_.close();
  });

  test(`a disconnected user comes back with another token by itself, over ${over}`, async () => {
    const { relay, client_, presented, session } = await disconnected();
    session.token = "second";
    await relay.world.pass(40_000);
    assert.equal(client_.status.state, online);
    assert.deepEqual(new Set(presented), new Set(["second"]));
    client_.close();
  });

  test(`a disconnected user comes back at once with renew() and another token, over ${over}`, async () => {
    const { relay, client_, presented, session } = await disconnected();
    session.token = "second";
    await client_.renew();
    await relay.world.pass(blocked ? 10_000 : 0);
    assert.equal(client_.status.state, online);
    assert.deepEqual(new Set(presented), new Set(["second"]));
    client_.close();
  });

  test(`a disconnected user comes back with retry() and the same token, over ${over}`, async () => {
    const { relay, client_, presented } = await disconnected();
    await relay.world.pass(100_000);
    client_.retry();
    await relay.world.pass(blocked ? 10_000 : 0);
    assert.equal(client_.status.state, online);
    assert.deepEqual(new Set(presented), new Set(["first"]));
    client_.close();
  });
}

test("a disconnected user with another token for each call does not come back at the same moment in all tabs", async () => {
  const relay = new FakeRelay("t");
  let serial = 0;
  const { client_ } = client(relay, () => `token-${(serial += 1)}`);
  await relay.world.pass(15_000);
  relay.world.sockets[0].ends(4403, "disconnected");
  await relay.world.pass(499);
  assert.deepEqual([client_.status.reason, relay.world.sockets.length, serial], ["disconnected", 1, 1]);
  await relay.world.pass(600);
  assert.deepEqual([client_.status.state, relay.world.sockets[1].token], ["live", "token-2"]);
});

test("a token function whose fresh tokens are all refused is called slowly, as is the relay", async () => {
  const relay = relayFor(new Set());
  let serial = 0;
  const { asked } = client(relay, () => `token-${(serial += 1)}`);
  await relay.world.pass(600_000);
  assert.ok(relay.presented.length < 50, `${relay.presented.length} times`);
  assert.ok(asked.length <= relay.presented.length + 1);
});

test("renew() uses another token at once, but not the refused one", async () => {
  const good = new Set(["second"]);
  const relay = relayFor(good);
  let token = "first";
  const { client_, statuses } = client(relay, () => token);
  await relay.world.pass(100_000);
  while (client_.status.state !== "offline") await relay.world.pass(100);
  const [presented, status] = [relay.presented.length, client_.status];
  statuses.length = 0;
  for (let time = 0; time < 5; time += 1) await client_.renew();
  await settled();
  assert.deepEqual([relay.presented.length, client_.status, statuses], [presented, status, []]);
  token = "second";
  client_.renew();
  await settled();
  assert.equal(client_.status.state, "live");
});

test("renew() offers another token on an open connection, and polls continue with it", async () => {
  const [first, second] = [tokenOf("alice", 1), tokenOf("alice", 2)];
  for (const blocked of [false, true]) {
    const relay = relayFor(new Set([first, second]), { blocked });
    let token = first;
    const { client_ } = client(relay, () => token);
    client_.joinTask("t");
    await relay.world.pass(3_000);
    client_.renew();
    await settled();
    token = second;
    client_.renew();
    await relay.world.pass(600);
    if (blocked) assert.equal(relay.presented.at(-1), second);
    else assert.deepEqual(relay.world.sockets[0].sent.filter(({ type }) => type === "auth").map(({ data }) => data.token), [second]);
    assert.equal(client_.status.state, blocked ? "polling" : "live");
    client_.close();
  }
});

test("a page that has another token for each refusal is refused about as rarely as one without", async () => {
  const calls = {
    "on each status": (client_) => client_.onStatus(() => client_.renew()),
    "on each refusal": (client_) => client_.onStatus(({ state }) => state === "offline" && client_.renew()),
    "a little later": (client_, host) => client_.onStatus(({ state }) => state === "offline" && host.setTimeout(() => client_.renew(), 100)),
    "all the time": (client_, host) => {
      const again = () => (client_.renew(), host.setTimeout(again, 250));
      again();
    },
  };
  for (const [when, begin] of Object.entries(calls)) {
    for (const blocked of [false, true]) {
      for (const word of ["unauthenticated", "token_expired"]) {
        const relay = relayFor(new Set(), { blocked, word });
        let serial = 0;
        const { client_ } = client(relay, () => `token-${(serial += 1)}`);
        begin(client_, relay.host);
        const minutes = [];
        for (let minute = 0; minute < 5; minute += 1) {
          const before = relay.presented.length;
          await relay.world.pass(60_000);
          minutes.push(relay.presented.length - before);
        }
        const most = blocked ? 2 : 1; // over polls a WebSocket is tried for each token as well
        assert.ok(minutes[0] <= 12 * most && minutes.slice(1).every((count) => count <= 6 * most), `${when}: ${minutes}`);
        client_.close();
      }
    }
  }
});

test("tokens that the relay accepts and soon refuses cause no quick attempts", async () => {
  for (const livesMs of [1, 1_000]) {
    const relay = new FakeRelay("t");
    const greet = relay.world.onSocket;
    relay.world.onSocket = (socket) => {
      greet(socket);
      relay.host.setTimeout(() => socket.ends(4401, "token_expired"), livesMs);
    };
    let serial = 0;
    const { client_ } = client(relay, () => `token-${(serial += 1)}`);
    client_.onStatus(({ state }) => state === "offline" && client_.renew());
    await relay.world.pass(60_000);
    const before = relay.world.sockets.length;
    await relay.world.pass(120_000);
    assert.ok(before <= 12 && relay.world.sockets.length - before <= 12, `${before}, ${relay.world.sockets.length - before}`);
    client_.close();
  }
});

test("a valid token after refused ones is used at once, or at the end of the current pause", async () => {
  const good = new Set();
  const relay = relayFor(good);
  let serial = 0;
  const { client_ } = client(relay, () => `token-${(serial += 1)}`);
  await relay.world.pass(100_000);
  while (client_.status.state !== "offline") await relay.world.pass(100);
  for (const isAtOnce of [false, true]) {
    if (!isAtOnce) {
      client_.renew(); // the one early attempt of this pause, and it is refused
      await settled();
    }
    const { nextTryAt } = client_.status;
    good.add(`token-${serial + 1}`).add(`token-${serial + 2}`);
    client_.renew();
    await settled();
    assert.equal(client_.status.state, isAtOnce ? "live" : "offline");
    if (!isAtOnce) {
      await relay.world.pass(nextTryAt - relay.world.time);
      assert.equal(client_.status.state, "live");
      // When the token expires soon, and a first fresh one is refused as well,
      good.clear();
      relay.world.sockets.at(-1).ends(4401, "unauthenticated");
      await settled();
      assert.equal(client_.status.state, "offline");
    }
  }
});

test("renew() inside any listener causes no endless loop", async () => {
  const relay = relayFor(new Set(["good"]));
  let given = "";
  const { client_, asked } = client(relay, () => given);
  client_.onStatus(() => client_.renew());
  await relay.world.pass(60_000);
  assert.ok(asked.length < 60, `${asked.length} questions`);
  given = "good";
  await relay.world.pass(60_000);
  assert.equal(client_.status.state, "live");
});

test("a fresh token that is refused is followed by calls until another one is there", async () => {
  const relay = new FakeRelay("t");
  let token = "first";
  const { client_, asked } = client(relay, () => token);
  relay.refuse = ({ type, data }) => (type === "auth" && data.token !== "good" ? { code: "forbidden", message: "No.", temporary: false } : undefined);
  await relay.world.pass(100);
  const [socket] = relay.world.sockets;
  const offered = () => socket.sent.filter(({ type }) => type === "auth").map(({ data }) => data.token);
  token = "bad";
  socket.receive("auth:expiring", { expiresAt: "" });
  await relay.world.pass(12_000);
  assert.deepEqual(offered(), ["bad"]); // and not again
  token = "worse";
  await relay.world.pass(5_000);
  token = "bad";
  await relay.world.pass(5_000);
  assert.deepEqual(offered(), ["bad", "worse"]);
  token = "good";
  await relay.world.pass(5_000);
  assert.deepEqual(offered(), ["bad", "worse", "good"]);
  const before = asked.length;
  await relay.world.pass(60_000);
  assert.equal(asked.length, before);
  assert.deepEqual([client_.status.state, relay.world.sockets.length], ["live", 1]);
});

test("fresh tokens that the relay refuses on an open connection are offered with pauses", async () => {
  const relay = new FakeRelay("t");
  let serial = 0;
  const { client_, asked } = client(relay, () => `token-${(serial += 1)}`);
  relay.refuse = ({ type }) => (type === "auth" ? { code: "forbidden", message: "No.", temporary: false } : undefined);
  client_.onMessage(({ type }) => type === "error" && client_.renew());
  await relay.world.pass(100);
  const [socket] = relay.world.sockets;
  for (let step = 0; step < 600; step += 1) {
    client_.renew();
    await relay.world.pass(100);
  }
  const offered = socket.sent.filter(({ type }) => type === "auth").length;
  assert.ok(offered <= 13, `${offered} in a minute`);
  assert.ok(asked.length <= 15, `${asked.length} questions in a minute`);
});

for (const wake of ["online", "visible", "renew"]) {
  test(`${wake} calls a hanging token function again at once, and the first usable answer counts`, async () => {
    const relay = relayFor(new Set(["good"]));
    const answers = [];
    const { client_, statuses } = client(relay, () => new Promise((done) => answers.push(done)));
    await relay.world.pass(1_000);
    if (wake === "renew") client_.renew();
    else await relay.world.dispatch(wake);
    assert.equal(answers.length, 2);
    answers[1](""); // no usable token: the other call is still open
    await settled();
    assert.equal(client_.status.state, "connecting");
    answers[0]("good");
    await settled();
    assert.equal(client_.status.state, "live");
    statuses.length = 0;
    await relay.world.pass(60_000);
    assert.deepEqual([statuses, relay.presented], [[], ["good"]]);
  });
}

test("the user of polls is that of their token, because their answers name none", async () => {
  const token = tokenOf("alice");
  const relay = relayFor(new Set([token]), { blocked: true });
  const { client_ } = client(relay, () => token);
  client_.joinTask("t");
  assert.equal(client_.stats.sub, "");
  await relay.world.pass(3_000);
  assert.deepEqual([client_.status.state, client_.stats.sub], ["polling", "alice"]);
});

test("polls and the WebSocket beside them keep their user, also if a token cannot be read", async () => {
  const pairs = [
    [tokenOf("alice"), tokenOf("bob")],
    [rawToken('{"sub":9007199254740993}'), rawToken('{"sub":9007199254740995}')],
    ["opaque-1", "opaque-2"],
    [tokenOf("alice"), "opaque"],
  ];
  for (const [first, second] of pairs) {
    const relay = relayFor(new Set([first, second]), { blocked: true });
    let token = first;
    const { client_ } = client(relay, () => token);
    client_.joinTask("t");
    await relay.world.pass(3_000);
    assert.equal(client_.status.state, "polling");
    token = second;
    client_.renew();
    await relay.append("t", 1);
    await relay.world.pass(600);
    relay.blocked = false;
    await relay.world.pass(60_000);
    assert.deepEqual(new Set(relay.presented), new Set([first, undefined])); // one question needs no token
    assert.ok(relay.world.sockets.every((socket) => socket.token === first));
    client_.close();
  }
});

test("a token that cannot be a subprotocol is sent in the first frame", async () => {
  for (const token of ["a.b.c=", '"a.b.c"', "a/b+c", "a@b,c;d", `a.${"b".repeat(4_095)}`]) {
    const world = new FakeHost();
    world.onSocket = (socket) => socket.welcome();
    const relay = connect({ url: URL, host: world.host, token: () => token });
    await settled();
    const [socket] = world.sockets;
    assert.deepEqual(socket.protocols, ["relay.v1"]);
    assert.deepEqual(socket.sent.map(({ type, data }) => [type, data]), [["auth", { token }]]);
    assert.equal(relay.status.state, "live");
    relay.close();
  }
});

test("a token that is too long for a header of a proxy is replaced when there is a shorter one", async () => {
  const world = new FakeHost();
  let token = `a.${"b".repeat(5_000)}`;
  world.onSocket = (socket) => (token.length > 10 ? socket.ends() : socket.welcome());
  world.onRequest = (request) => request.answers(400, "<html>Request Header Or Cookie Too Large</html>");
  const relay = connect({ url: URL, host: world.host, token: () => token });
  await world.pass(60_000);
  assert.deepEqual([relay.status.state, relay.status.reason], ["offline", "bad_token"]);
  token = "short";
  relay.renew();
  await settled();
  assert.equal(relay.status.state, "live");
  relay.close();
});

test("a client that was refused rests, and connects when renew() finds another token", async () => {
  const world = new FakeHost();
  let token = "out";
  world.onSocket = (socket) => (socket.token === "in" ? socket.welcome() : socket.ends(4502, "feature_disabled"));
  const relay = connect({ url: URL, host: world.host, token: () => token });
  await settled();
  for (let serial = 0; serial < 20; serial += 1) {
    relay.renew(); // with the same token, nothing happens
    await settled();
  }
  assert.deepEqual([relay.status, world.sockets.length], [{ state: "refused", reason: "feature_disabled" }, 1]);
  for (let serial = 0; serial < 20; serial += 1) {
    token = `another-${serial}`;
    relay.renew(); // another one for each refusal is tried once in each pause
    await settled();
  }
  assert.equal(world.sockets.length, 2);
  token = "in";
  await world.pass(3_000);
  assert.equal(relay.status.state, "refused");
  relay.renew();
  await settled();
  assert.equal(relay.status.state, "live");
  relay.close();
});

test("a newline after a token is removed", async () => {
  const relay = relayFor(new Set(["good"]));
  const { client_ } = client(relay, () => " good\r\n");
  await settled();
  assert.equal(client_.status.state, "live");
});

test("a page is live in the end, whatever the token function did for a while, and leaves no timer", async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    let state = seed;
    const chance = () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
    const good = new Set(["good"]);
    const relay = relayFor(good, { blocked: chance() < 0.4, word: chance() < 0.5 ? "unauthenticated" : "token_expired" });
    const ways = [...TROUBLES.map(([, way]) => way), () => "good", () => "old", () => new Promise((done) => relay.host.setTimeout(() => done("good"), 9_000))];
    let calm = false;
    const { client_, statuses } = client(relay, () => (calm ? "good" : ways[Math.floor(chance() * ways.length)]()));
    client_.joinTask("t");
    for (let step = 0; step < 30; step += 1) {
      const dice = chance();
      if (dice < 0.2) await relay.cut();
      else if (dice < 0.3) for (const { socket } of relay.world.sockets.map((socket) => ({ socket }))) socket.receive("auth:expiring", {});
      else if (dice < 0.4) await relay.world.dispatch(["online", "visible", "offline"][Math.floor(chance() * 3)]);
      else if (dice < 0.5) client_.renew();
      else if (dice < 0.55) client_.retry();
      else await relay.world.pass(chance() * 20_000);
      assert.notEqual(client_.status.state, "refused", `seed ${seed}`);
    }
    calm = true;
    await relay.world.pass(90_000);
    assert.ok(["live", "polling"].includes(client_.status.state), `seed ${seed}: ${JSON.stringify(client_.status)}`);
    assert.ok(statuses.every(({ state, nextTryAt }) => (state === "offline") === (nextTryAt !== undefined)));
    client_.close();
    await relay.world.pass(30_000);
    assert.deepEqual([relay.world.timers, relay.world.listening], [0, 0], `seed ${seed}`);
  }
});

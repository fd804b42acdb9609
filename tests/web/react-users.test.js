// Whose tasks the components show: with another token, another function, no token, and a relay that refuses.

import assert from "node:assert/strict";
import test from "node:test";
import { Store } from "../../relay/web/react/store.js";
import { settled } from "./fake-host.js";
import { FakeRelay } from "./fake-relay.js";
import { rawToken, tokenOf } from "./fake-token.js";

const URL = "ws://relay.test/ws";
const never = () => new Promise(() => {});

/** A store on a fake relay that watches `t` and the list. A test decides when frames are drawn. */
function given(token, { blocked = false, user = undefined } = {}) {
  const relay = new FakeRelay("t");
  relay.blocked = blocked;
  const frames = [];
  const store = new Store({ host: relay.host, frame: (call) => frames.push(call), user });
  const draw = async () => {
    await settled();
    for (const call of frames.splice(0)) call();
  };
  store.token = token;
  store.watchTask("t", () => {});
  store.watchDashboard(() => {});
  store.open(URL);
  return { relay, store, draw };
}

/** The tokens of the open connections. */
function open(relay) {
  return relay.world.sockets.filter(({ closed, readyState }) => !closed && readyState !== 3).map(({ token }) => token);
}

function shown(store) {
  return [store.task("t").events, store.dashboard.tasks];
}

const PAIRS = {
  "who have names": [tokenOf("alice"), tokenOf("bob")],
  "whose numbers are longer than JavaScript's": [rawToken('{"sub":9007199254740993}'), rawToken('{"sub":9007199254740995}')],
  "of whom nothing can be read": ["opaque-1", "opaque-2"],
  "of whom one can be read": ["opaque", tokenOf("bob")],
};

for (const [who, [first, second]] of Object.entries(PAIRS)) {
  for (const blocked of [false, true]) {
    const over = blocked ? "over polls" : "over WebSocket";
    test(`a token of another user reconnects and shows nothing of the first, ${over}: users ${who}`, async () => {
      for (const between of [[], [null], [""], [undefined, null]]) {
        const { relay, store, draw } = given(first, { blocked });
        await relay.world.pass(2_000);
        await relay.append("t", "the first one's");
        await relay.world.pass(600);
        await draw();
        assert.equal(store.task("t").events.length, 1);
        for (const token of between) store.token = token;
        relay.hidden.add("t");
        store.token = second;
        const asked = relay.world.requests.length;
        assert.deepEqual(shown(store), [[], []]);
        await relay.world.pass(3_000);
        await draw();
        assert.deepEqual([store.task("t").state, ...shown(store)], ["forbidden", [], []]);
        assert.ok(open(relay).every((token) => token === second));
        assert.ok(relay.world.requests.slice(asked).every(({ path, token }) => token === (path === "/ws" ? undefined : second)));
      }
    });

    test(`signing out closes the connection and clears everything, ${over}: users ${who}`, async () => {
      for (const token of [first, () => first, async () => first]) {
        for (const none of [null, "", undefined]) {
          const { relay, store, draw } = given(token, { blocked });
          await relay.world.pass(2_000);
          await relay.append("t", "hers");
          await relay.world.pass(600);
          await draw();
          assert.equal(store.task("t").events.length, 1);
          store.token = none;
          assert.deepEqual(shown(store), [[], []]);
          await draw();
          assert.deepEqual([store.connection.state, store.connection.reason], ["offline", "no_token"]);
          const requests = relay.world.requests.length;
          await relay.append("t", "afterwards");
          await relay.world.pass(120_000);
          await draw();
          assert.deepEqual([open(relay), relay.world.requests.length, ...shown(store)], [[], requests, [], []]);
          assert.equal(store.connection.reason, "no_token");
          while (store.connection.state !== "offline") await relay.world.pass(100);
          store.token = second;
          await relay.world.pass(3_000);
          await draw();
          assert.equal(store.task("t").events.length, 2);
        }
      }
    });
  }
}

test("the user is that of the connection's token, not of the last token that was set", async () => {
  const [alice, bob] = [tokenOf("alice"), tokenOf("bob")];
  const { relay, store, draw } = given(alice);
  await draw();
  // When the application changes to a function that returns another user's token at the next connection,
  store.token = () => bob;
  relay.world.sockets.at(-1).ends(1001, "restart");
  await relay.world.pass(30_000);
  assert.deepEqual(open(relay), [bob]);
  // then the token of the first user belongs to another user.
  store.token = alice;
  assert.deepEqual(shown(store), [[], []]);
  await draw();
  assert.deepEqual(open(relay), [alice]);
});

test("a token function that returns another user's token drops everything of the first user", async () => {
  let token = tokenOf("alice");
  const { relay, store, draw } = given(() => token);
  await relay.append("t", "hers");
  await draw();
  relay.hidden.add("t");
  token = tokenOf("bob");
  relay.world.sockets.at(-1).receive("auth:expiring", { expiresAt: "" });
  await draw();
  await draw();
  assert.deepEqual(open(relay), [token]);
  assert.deepEqual([store.task("t").state, ...shown(store)], ["forbidden", [], []]);
});

for (const waitedMs of [0, 300, 3_000]) {
  for (const next of ["function", "text"]) {
    test(`a token function that hangs and is replaced by a ${next} after ${waitedMs} ms is abandoned`, async () => {
      for (const isLate of [false, true]) {
        let answer = () => {};
        const { relay, store, draw } = given(() => new Promise((done) => (answer = done)));
        await relay.world.pass(waitedMs);
        assert.equal(store.connection.state, "connecting");
        const bob = tokenOf("bob");
        store.token = next === "text" ? bob : () => bob;
        if (!isLate) answer(tokenOf("alice"));
        await relay.world.pass(1_000);
        answer(tokenOf("alice"));
        await relay.world.pass(30_000);
        await draw();
        assert.deepEqual(relay.world.sockets.map(({ token }) => token), [bob]);
        assert.equal(store.connection.state, "live");
      }
    });
  }
}

test("a page with a new token function at each render connects, however slow the function is", async () => {
  for (const renderMs of [16, 250, 1_000]) {
    for (const latencyMs of [0, 50, 400, 3_000]) {
      const { relay, store } = given(never);
      let asked = 0;
      for (let passedMs = 0; passedMs < 20_000; passedMs += renderMs) {
        store.token = () => ((asked += 1), new Promise((done) => relay.host.setTimeout(() => done(tokenOf("alice", asked)), latencyMs)));
        await relay.world.pass(renderMs);
      }
      const about = `rendered each ${renderMs} ms, answered after ${latencyMs}`;
      assert.equal(store.connection.state, "live", about);
      assert.equal(relay.world.sockets.length, 1, about);
      assert.ok(asked <= 16, `${about}: ${asked} questions`);
    }
  }
});

test("where the page says who its user is, the first answer of a function is used, and nobody's token is compared", async () => {
  const { relay, store, draw } = given(never, { user: "alice" });
  let asked = 0;
  for (let render = 0; render < 20; render += 1) {
    store.token = () => ((asked += 1), new Promise((done) => relay.host.setTimeout(() => done(`opaque-${asked}`), 400)));
    await relay.world.pass(100);
  }
  await draw();
  assert.deepEqual([store.connection.state, asked, relay.world.sockets.length], ["live", 1, 1]);
  await relay.append("t", "hers");
  await draw();
  // Another token is offered on the connection, and nothing is dropped.
  store.token = "opaque-other";
  await relay.world.pass(100);
  assert.deepEqual([store.task("t").events.length, relay.world.sockets.length, relay.authenticated], [1, 1, 2]);
  // A token that can be read names somebody: it is believed more than the page.
  store.token = tokenOf("bob");
  assert.deepEqual(shown(store), [[], []]);
  await relay.world.pass(100);
  assert.deepEqual(open(relay), [tokenOf("bob")]);
});

test("a user who signs in while functions are replaced at each render soon sees nothing of the first user", async () => {
  const { relay, store } = given(never);
  const render = async (sub, times) => {
    for (let time = 0; time < times; time += 1) {
      store.token = () => new Promise((done) => relay.host.setTimeout(() => done(tokenOf(sub)), 400));
      await relay.world.pass(100);
    }
  };
  for (let times = 1; times < 25; times += 1) {
    store.token = null;
    await settled();
    await render("alice", times);
    await render("bob", 1);
    await relay.world.pass(10_000);
    assert.deepEqual(open(relay), [tokenOf("bob")], `after ${times} renders`);
  }
});

/** Ways in which a page may use another token after each refusal. */
const BRINGERS = {
  "a text each time": (store, relay, fresh) => {
    store.token = fresh();
    store.watchConnection(() => {
      if (store.connection.state === "offline") relay.host.setTimeout(() => (store.token = fresh()), 100);
    });
  },
  "a text at once": (store, relay, fresh) => {
    store.token = fresh();
    store.watchConnection(() => {
      if (store.connection.state === "offline") store.token = fresh();
    });
  },
  "a function that is another one at each render": (store, relay, fresh) => {
    const render = () => {
      store.token = () => fresh();
      relay.host.setTimeout(render, 1_000);
    };
    render();
  },
  "no token and then a text": (store, relay, fresh) => {
    store.token = fresh();
    store.watchConnection(() => {
      if (store.connection.state !== "offline" || store.connection.reason === "no_token") return;
      relay.host.setTimeout(() => {
        store.token = null;
        relay.host.setTimeout(() => (store.token = fresh()), 50);
      }, 50);
    });
  },
};

for (const [way, bring] of Object.entries(BRINGERS)) {
  for (const [whose, make] of Object.entries({
    "the same user's": (serial) => tokenOf("alice", serial),
    "another user's": (serial) => tokenOf(`user-${serial}`),
    "nobody knows whose": (serial) => `opaque-${serial}`,
  })) {
    test(`a page with ${way}, ${whose}, on each refusal connects about as rarely as one that waits`, async () => {
      const relay = new FakeRelay("t");
      relay.world.onSocket = (socket) => relay.host.setTimeout(() => socket.ends(4401, "unauthenticated"), 20);
      const store = new Store({ host: relay.host, frame: () => {} });
      let serial = 0;
      bring(store, relay, () => make((serial += 1)));
      store.open(URL);
      const minutes = [];
      for (let minute = 0; minute < 5; minute += 1) {
        const before = relay.world.sockets.length;
        await relay.world.pass(60_000);
        minutes.push(relay.world.sockets.length - before);
      }
      assert.ok(minutes[0] <= 12 && minutes.slice(1).every((count) => count <= 6), String(minutes));
      assert.ok(minutes.at(-1) >= 1, String(minutes));
    });
  }
}

test("users without the feature cause no quick attempts one after the other, and a user with it connects", async () => {
  const relay = new FakeRelay("t");
  const greet = relay.world.onSocket;
  relay.world.onSocket = (socket) => relay.host.setTimeout(() => socket.ends(4502, "feature_disabled"), 20);
  const store = new Store({ host: relay.host, frame: () => {} });
  let serial = 0;
  store.token = tokenOf("user-0");
  store.watchConnection(() => {
    if (["refused", "offline"].includes(store.connection.state)) relay.host.setTimeout(() => (store.token = tokenOf(`user-${(serial += 1)}`)), 100);
  });
  store.open(URL);
  const minutes = [];
  for (let minute = 0; minute < 5; minute += 1) {
    const before = relay.world.sockets.length;
    await relay.world.pass(60_000);
    minutes.push(relay.world.sockets.length - before);
  }
  assert.ok(minutes[0] <= 12 && minutes.slice(1).every((count) => count >= 1 && count <= 6), String(minutes));
  relay.world.onSocket = greet;
  await relay.world.pass(31_000);
  assert.equal(store.connection.state, "live");
});

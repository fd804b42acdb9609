// The store of React components: one join for any number of watchers, and snapshots that change only with a
// notification.

import assert from "node:assert/strict";
import test from "node:test";
import { Store } from "../../relay/web/react/store.js";
import { settled } from "./fake-host.js";
import { FakeRelay } from "./fake-relay.js";
import { tokenOf } from "./fake-token.js";

const URL = "ws://relay.test/ws";
const LINGER_MS = 1_000;

/** A store on a fake relay. A test decides when frames are drawn. */
function given(...taskIds) {
  const relay = new FakeRelay(...taskIds);
  const frames = [];
  const store = new Store({ host: relay.host, frame: (call) => frames.push(call) });
  store.token = () => "token";
  const draw = async () => {
    await settled();
    for (const call of frames.splice(0)) call();
  };
  return { relay, store, frames, draw };
}

function sent(relay) {
  const requests = relay.world.sockets.flatMap((socket) => socket.sent);
  return requests.map(({ type }) => type).filter((type) => type !== "ping");
}

test("a task that several components watch is joined once, and left one second after the last one is gone", async () => {
  const { relay, store, draw } = given("t");
  store.open(URL);
  const unwatch = [1, 2, 3].map(() => store.watchTask("t", () => {}));
  await draw();
  assert.deepEqual(sent(relay), ["task:join"]);
  assert.equal(store.task("t").state, "ready");
  unwatch[0]();
  unwatch[0](); // a second call changes nothing
  unwatch[1]();
  await relay.world.pass(2 * LINGER_MS);
  await relay.append("t", 1);
  await draw();
  assert.equal(store.task("t").events.length, 1);
  unwatch[2]();
  await relay.world.pass(2 * LINGER_MS);
  assert.deepEqual(sent(relay), ["task:join", "task:leave"]);
  assert.deepEqual(store.task("t"), { state: "loading", task: null, events: [] });
});

test("a component that mounts, unmounts and mounts again causes no leave and no second connection", async () => {
  const { relay, store, draw } = given("t");
  const mount = () => [store.watchDashboard(() => {}), store.watchTask("t", () => {}), store.open(URL)];
  for (const end of mount()) end(); // as StrictMode does, before there is a connection
  const ends = mount();
  await draw();
  for (const end of ends) end(); // as when one page replaces another
  mount();
  await relay.world.pass(5 * LINGER_MS);
  assert.equal(relay.world.sockets.length, 1);
  assert.deepEqual(sent(relay), ["dashboard:join", "task:join"]);
});

test("a task that something waits for is joined, and left when it is there and nobody watches it", async () => {
  const { relay, store, draw } = given("t");
  store.open(URL);
  const waiting = store.whenTaskLoaded("t");
  assert.equal(store.whenTaskLoaded("t"), waiting);
  await draw();
  await waiting;
  assert.equal(store.task("t").state, "ready");
  await relay.world.pass(4 * LINGER_MS);
  assert.deepEqual(sent(relay), ["task:join"]);
  await relay.world.pass(4 * LINGER_MS);
  assert.deepEqual(sent(relay), ["task:join", "task:leave"]);
});

test("reading a snapshot neither connects nor joins", async () => {
  const { relay, store } = given("t");
  assert.equal(store.task("t"), store.task("other"));
  assert.equal(store.dashboard.state, "loading");
  store.watchTask("t", () => {});
  await settled();
  assert.deepEqual(relay.world.sockets, []);
});

test("a connection without a provider is closed", async () => {
  const { relay, store } = given();
  const close = store.open(URL);
  await settled();
  close();
  assert.equal(relay.world.sockets[0].closed, false);
  await relay.world.pass(2 * LINGER_MS);
  assert.equal(relay.world.sockets[0].closed, true);
  assert.equal(relay.world.listening, 0);
  assert.equal(relay.world.timers, 0);
});

test("another address opens a new connection, and everything watched is joined there", async () => {
  const { relay, store, draw } = given("t");
  store.watchTask("t", () => {});
  const close = store.open(URL);
  await draw();
  close();
  store.open("ws://other.test/ws");
  await draw();
  assert.deepEqual(relay.world.sockets.map(({ url, closed }) => [new globalThis.URL(url).host, closed]), [
    ["relay.test", true],
    ["other.test", false],
  ]);
  assert.deepEqual(relay.world.sockets[1].sent.map(({ type }) => type), ["task:join"]);
  assert.equal(store.task("t").state, "ready");
});

test("changes between two frames are notified once, with the frame", async () => {
  const { relay, store, frames, draw } = given("t", "u");
  const notified = [];
  store.open(URL);
  store.watchTask("t", () => notified.push("t"));
  store.watchDashboard(() => notified.push("list"));
  await draw();
  notified.length = 0;
  const before = store.task("t");
  for (let n = 0; n < 50; n += 1) await relay.append("t", n);
  assert.equal(frames.length, 1);
  assert.deepEqual(notified, []);
  assert.equal(store.task("t"), before);
  await draw();
  assert.deepEqual(notified, ["t", "list"]);
  assert.equal(store.task("t").events.length, 50);
});

test("a snapshot is immutable, and the next one keeps the objects that did not change", async () => {
  const { relay, store, draw } = given("t", "u");
  store.open(URL);
  store.watchTask("t", () => {});
  store.watchDashboard(() => {});
  await relay.append("t", 0);
  await draw();
  const [task, list] = [store.task("t"), store.dashboard];
  await relay.append("t", 1);
  await draw();
  assert.equal(task.events.length, 1);
  assert.equal(store.task("t").events[0], task.events[0]);
  const untouched = ({ tasks }) => tasks.find(({ taskId }) => taskId === "u");
  assert.equal(untouched(store.dashboard), untouched(list));
  assert.notEqual(store.dashboard.tasks, list.tasks);
});

test("a reconnect without changes notifies no component", async () => {
  const { relay, store, draw } = given("t");
  const notified = [];
  store.open(URL);
  store.watchTask("t", () => notified.push("t"));
  store.watchDashboard(() => notified.push("list"));
  await relay.append("t", 0);
  await draw();
  notified.length = 0;
  await relay.cut();
  await relay.world.pass(2_000);
  assert.equal(store.connection.state, "live");
  assert.equal(relay.world.sockets.length, 2);
  await draw();
  assert.deepEqual(notified, []);
});

test("`since` stays through all attempts until the connection is current", async () => {
  const { relay, store } = given();
  const seen = [];
  store.watchConnection(() => seen.push([store.connection.state, store.connection.since]));
  store.open(URL);
  await settled();
  const since = relay.world.time;
  relay.down = true;
  await relay.cut();
  await relay.world.pass(500);
  relay.down = false;
  await relay.world.pass(30_000);
  const [first, ...later] = seen.filter(([state]) => state === "connecting" || state === "offline");
  assert.deepEqual(first, ["connecting", undefined]);
  assert.ok(later.length >= 3);
  assert.deepEqual(new Set(later.map(([, moment]) => moment)), new Set([since]));
  assert.deepEqual(seen.at(-1), ["live", undefined]);
});

test("a message listener that is added before the connection receives every message", async () => {
  const { relay, store } = given("t");
  const types = [];
  const unlisten = store.onMessage(({ type }) => types.push(type));
  store.watchTask("t", () => {});
  store.open(URL);
  await settled();
  await relay.append("t", 1);
  unlisten();
  await relay.append("t", 2);
  assert.deepEqual(types, ["welcome", "task:state", "task:event_added"]);
});

test("what the user has of the claims that tasks wait for is known with the connection, and gone with it", async () => {
  const { relay, store } = given("t");
  relay.claims = { sub: ["alice"] };
  const seen = [];
  store.watchConnection(() => seen.push(store.me));
  assert.deepEqual(store.me, {});
  const close = store.open(URL);
  await relay.world.pass(1_000);
  const { me } = store;
  assert.deepEqual(me, { sub: ["alice"] });
  assert.ok(seen.includes(me));
  await relay.cut();
  await relay.world.pass(60_000);
  assert.equal(store.me, me); // another connection says the same
  close();
  await relay.world.pass(LINGER_MS);
  assert.deepEqual(store.me, {});
});

test("a token that is set later is used at once", async () => {
  for (const none of ["", null, undefined]) {
    const { relay, store } = given("t");
    store.token = none;
    store.open(URL);
    await relay.world.pass(200_000);
    assert.deepEqual([store.connection.state, store.connection.reason, relay.world.sockets.length], ["offline", "no_token", 0]);
    while (store.connection.state !== "offline") await relay.world.pass(100);
    store.token = tokenOf("alice");
    await settled();
    assert.equal(store.connection.state, "live");
  }
});

test("another token of the same user is offered at once, and the tasks stay", async () => {
  const { relay, store, draw } = given("t");
  store.token = tokenOf("alice");
  store.watchTask("t", () => {});
  store.open(URL);
  await draw();
  const shown = store.task("t");
  store.token = tokenOf("alice", 1);
  store.token = tokenOf("alice", 1); // as at each render
  await draw();
  assert.deepEqual(sent(relay), ["task:join", "auth"]);
  assert.equal(relay.world.sockets.length, 1);
  store.token = tokenOf("alice", 2);
  await draw();
  assert.equal(relay.world.sockets.length, 1);
  assert.equal(store.task("t"), shown);
});

test("a token function that is new at each render neither reconnects nor offers a token", async () => {
  for (const blocked of [false, true]) {
    const { relay, store } = given("t");
    relay.blocked = blocked;
    store.watchTask("t", () => {});
    store.open(URL);
    await relay.world.pass(3_000);
    const before = [relay.world.sockets.length, sent(relay).length, relay.world.requests.length];
    let asked = 0;
    for (let render = 0; render < 50; render += 1) {
      store.token = () => ((asked += 1), "another");
      await relay.world.pass(16);
    }
    assert.deepEqual([relay.world.sockets.length, sent(relay).length, relay.world.requests.length, asked], [...before, 0]);
  }
});

test("a new token function is called at once while a token is missing, but not at each of many renders", async () => {
  const { relay, store } = given("t");
  let asked = 0;
  store.token = () => ((asked += 1), "");
  store.open(URL);
  await relay.world.pass(200_000);
  asked = 0;
  // When every call of the token function causes a render, which sets another function,
  for (let render = 0; render < 600; render += 1) {
    store.token = () => ((asked += 1), "");
    await relay.world.pass(16);
  }
  assert.ok(asked <= 12, `${asked} times in ten seconds`);
  await relay.world.pass(2_500);
  while (store.connection.state !== "offline") await relay.world.pass(100);
  store.token = () => "here";
  await relay.world.pass(1);
  assert.equal(store.connection.state, "live");
});

test("a refused token is not used again at each render", async () => {
  const { relay, store } = given("t");
  const presented = [];
  relay.world.onSocket = (socket) => (presented.push(socket.token), socket.ends(4401, "unauthenticated"));
  store.open(URL);
  for (let render = 0; render < 3_000; render += 1) {
    store.token = () => "refused";
    await relay.world.pass(20);
  }
  assert.ok(presented.length < 12, `${presented.length} times in a minute`);
});

test("a disconnected user's page says so, and comes back with retry() or with another token", async () => {
  for (const back of ["retry", "token"]) {
    const { relay, store } = given("t");
    store.token = "first";
    store.open(URL);
    await relay.world.pass(1_000);
    relay.world.sockets[0].ends(4403, "disconnected");
    for (let render = 0; render < 500; render += 1) {
      store.token = "first";
      await relay.world.pass(20);
    }
    assert.deepEqual([store.connection.state, store.connection.reason], ["offline", "disconnected"]);
    assert.equal(relay.world.sockets.length, 1);
    if (back === "retry") store.retry();
    else store.token = "second";
    await relay.world.pass(100);
    assert.deepEqual([store.connection.state, relay.world.sockets[1].token], ["live", back === "retry" ? "first" : "second"]);
  }
});

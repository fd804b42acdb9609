// Closing a client: from anywhere, at any time, and with any method called afterwards.

import assert from "node:assert/strict";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { settled } from "./fake-host.js";
import { FakeRelay } from "./fake-relay.js";

const URL = "ws://relay.test/ws";

/** @param {number} seed */
function random(seed) {
  return () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
}

/** Everything that shows activity: sockets, requests, frames, calls of the token function. */
function doings(relay, asked) {
  const { sockets, requests } = relay.world;
  return [sockets.length, requests.length, sockets.reduce((sum, { sent }) => sum + sent.length, 0), asked.length];
}

/** Asserts that nothing is left, and that neither an hour nor any call or event causes activity. */
async function assertOver(relay, client, asked, about) {
  const before = doings(relay, asked);
  await settled();
  assert.deepEqual([relay.world.timers - relay.ownTimers(), relay.world.listening], [0, 0], about);
  client.retry();
  client.renew();
  client.joinTask("another");
  client.joinDashboard();
  client.leaveTask("t");
  client.close();
  for (const event of ["online", "visible", "offline"]) await relay.world.dispatch(event);
  await settled();
  assert.equal(relay.world.timers - relay.ownTimers(), 0, about);
  await relay.world.pass(3_600_000);
  assert.deepEqual(doings(relay, asked), before, about);
  assert.ok(relay.world.sockets.every(({ closed, readyState }) => closed || readyState === 3), about);
}

/** A relay whose own timers, those of waiting polls, are counted apart from the client's. */
function given() {
  const relay = new FakeRelay("t");
  const { host } = relay;
  const timers = new Set();
  const counted = {
    ...host,
    setTimeout: (call, ms) => {
      const timer = host.setTimeout(() => (timers.delete(timer), call()), ms);
      timers.add(timer);
      return timer;
    },
    clearTimeout: (timer) => (timers.delete(timer), host.clearTimeout(timer)),
  };
  return Object.assign(relay, { counted, ownTimers: () => relay.world.timers - timers.size });
}

function client(relay, token = () => "token") {
  const asked = [];
  const client_ = connect({ url: URL, host: relay.counted, token: () => (asked.push(1), token()) });
  return { client_, asked };
}

/** Ways to get a client into each of its states. */
const SITUATIONS = {
  live: () => {},
  polling: (relay) => void (relay.blocked = true),
  "without a network": (relay) => void (relay.down = true),
  refused: (relay) => void (relay.world.onSocket = (socket) => socket.ends(4502, "feature_disabled")),
  disconnected: (relay) => void (relay.world.onSocket = (socket) => socket.ends(4403, "disconnected")),
  "not let in": (relay) => void (relay.world.onSocket = (socket) => socket.ends(4401, "unauthenticated")),
  "sent away": (relay) => void (relay.world.onSocket = (socket) => socket.ends(4429, "rate_limited:20000")),
};

for (const [name, prepare] of Object.entries(SITUATIONS)) {
  for (const state of ["connecting", "live", "stale", "polling", "offline", "refused"]) {
    test(`${name}: a client that a listener closes at the status ${state} stays closed`, async () => {
      for (const first of [undefined, "retry", "renew"]) {
        const relay = given();
        prepare(relay);
        let serial = 0;
        const { client_, asked } = client(relay, () => `token-${(serial += 1)}`);
        client_.joinTask("t");
        client_.joinDashboard();
        let isTold = false;
        client_.onStatus((status) => {
          if (status.state !== state || isTold) return;
          isTold = true;
          if (first) client_[first]();
          client_.close();
        });
        for (let step = 0; step < 20 && !isTold; step += 1) {
          await relay.world.pass(1_500);
          for (const socket of relay.world.sockets) if (!socket.closed) socket.receive("stream:status", { state: "stale", lagMs: 1 });
          await relay.world.dispatch("visible");
        }
        client_.close();
        await assertOver(relay, client_, asked, `${name}, ${state}, ${first}`);
      }
    });
  }

  test(`${name}: a client that is closed at any moment leaves no timer`, async () => {
    for (const event of [undefined, "online", "visible", "offline"]) {
      for (const afterMs of [0, 100, 600, 1_600, 5_000, 20_000, 61_000]) {
        const relay = given();
        prepare(relay);
        const { client_, asked } = client(relay);
        client_.joinTask("t");
        client_.joinDashboard();
        await relay.world.pass(afterMs);
        if (event) await relay.world.dispatch(event);
        client_.close();
        await assertOver(relay, client_, asked, `${event} after ${afterMs} ms`);
      }
    }
  });
}

test("a client that is closed while it asks for a token does not connect with the answer", async () => {
  for (const give of [(settle) => settle("token"), (settle) => settle(""), (settle) => settle(Promise.reject(new Error()))]) {
    const relay = given();
    let settle = () => {};
    const { client_, asked } = client(relay, () => new Promise((done) => (settle = done)));
    await settled();
    client_.close();
    give(settle);
    await assertOver(relay, client_, asked, "a late answer");
  }
});

test("a client that waits to send, because of the rate, sends nothing after it was closed", async () => {
  const relay = given();
  relay.limits = { maxTasks: 1000, maxMessageBytes: 65_536, messagesPerSecond: 1 };
  const { client_, asked } = client(relay);
  await settled();
  for (let task = 0; task < 10; task += 1) {
    client_.joinTask(`task-${task}`);
    await settled();
  }
  client_.close();
  client_.joinTask("late");
  await assertOver(relay, client_, asked, "its turn");
});

test("a client that is closed inside any listener by any method does nothing, and another client connects", async () => {
  let closed = 0;
  for (let seed = 1; seed <= 150; seed += 1) {
    const chance = random(seed);
    const relay = given();
    const greet = relay.world.onSocket;
    let isCalm = false;
    let isClosed = false;
    let before;
    relay.world.onSocket = (socket) => {
      const dice = isCalm ? 0 : chance();
      if (dice < 0.6) return greet(socket);
      socket.ends(...[[1006], [4401, "unauthenticated"], [4401, "token_expired"], [4403, "disconnected"], [1001, "restart"], [4502, "feature_disabled"]][Math.floor(chance() * 6)]);
    };
    let serial = 0;
    const { client_, asked } = client(relay, () => (!isCalm && chance() < 0.3 ? "" : `token-${(serial += 1)}`));
    const calls = [
      () => client_.retry(),
      () => client_.renew(),
      () => client_.joinTask(["t", "u", "v"][Math.floor(chance() * 3)]).onChange(perhaps),
      () => client_.leaveTask("u"),
      () => client_.joinDashboard().onChange(perhaps),
      () => client_.leaveDashboard(),
      () => {
        if (chance() > 0.3) return;
        client_.close();
        if (!isClosed) before = doings(relay, asked);
        isClosed = true;
      },
    ];
    let depth = 0;
    function perhaps() {
      if (isCalm || depth > 2 || chance() < 0.6) return;
      depth += 1;
      calls[Math.floor(chance() * calls.length)]();
      depth -= 1;
    }
    client_.onStatus(perhaps);
    client_.onMessage(perhaps);
    client_.joinTask("t").onChange(perhaps);
    for (let step = 0; step < 40; step += 1) {
      const dice = chance();
      perhaps();
      if (dice < 0.2) await relay.cut();
      else if (dice < 0.3) await relay.append("t", step);
      else if (dice < 0.4) await relay.world.dispatch(["online", "visible", "offline"][Math.floor(chance() * 3)]);
      else if (dice < 0.5) relay.blocked = !relay.blocked;
      else await relay.world.pass(chance() * 10_000);
      // Requests sent before the close may still arrive, but no new ones are sent.
      if (isClosed) assert.deepEqual(doings(relay, asked), before, `seed ${seed}`);
    }
    isCalm = true;
    relay.blocked = false;
    if (isClosed) {
      closed += 1;
      await assertOver(relay, client_, asked, `seed ${seed}`);
    } else {
      client_.retry();
      await relay.world.pass(400_000);
      assert.equal(client_.status.state, "live", `seed ${seed}`);
      assert.equal(relay.world.sockets.filter((socket) => !socket.closed && socket.readyState !== 3).length, 1, `seed ${seed}`);
      client_.close();
      await assertOver(relay, client_, asked, `seed ${seed}`);
    }
  }
  assert.ok(closed > 30 && closed < 140, `${closed} were closed`);
});

// The delay of changes, measured between two clocks that differ.

import assert from "node:assert/strict";
import test from "node:test";

import { Delay } from "../../relay/web/client/delay.js";

const RELAY_AHEAD_MS = 60_000;

/** @param {number} ms of our clock */
function relayTime(ms) {
  return new Date(ms + RELAY_AHEAD_MS).toISOString();
}

test("the delay of a change is measured without the difference of the clocks", () => {
  const delay = new Delay(() => "c1");
  delay.take({ type: "welcome", data: /** @type {any} */ ({}) }, 1000);
  delay.take({ type: "pong", data: { serverTime: relayTime(1010) }, replyTo: "c1" }, 1020);
  for (const [written, arrived] of [[2000, 2005], [3000, 3007], [4000, 4900]]) {
    delay.take({ type: "task:deleted", data: { taskId: "a" }, at: relayTime(written) }, arrived);
  }
  assert.equal(delay.medianMs, 7);
});

test("the delay is unknown before the first answer", () => {
  const delay = new Delay(() => "c1");
  delay.take({ type: "welcome", data: /** @type {any} */ ({}) }, 1000);
  delay.take({ type: "task:deleted", data: { taskId: "a" }, at: relayTime(900) }, 1000);
  assert.equal(delay.medianMs, undefined);
});

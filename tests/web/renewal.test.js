// What the page says between two tokens of an application.

import assert from "node:assert/strict";
import test from "node:test";
import { Renewal } from "../../relay/web/dashboard/renewal.js";

const ENDED = { state: "offline", reason: "token_expired", nextTryAt: 1 };
const LIVE = { state: "live" };

test("a token that ended before the next one came is no sign-out for eight seconds", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let over = 0;
  const renewal = new Renewal(() => void (over += 1));
  assert.equal(renewal.shown(LIVE, true), LIVE);
  for (const reason of ["token_expired", "unauthenticated", "bad_token"]) {
    assert.equal(renewal.shown({ ...ENDED, reason }, true).state, "connecting");
  }
  // The next one came, and the one after it does not.
  renewal.shown({ state: "polling" }, true);
  t.mock.timers.tick(9_000);
  assert.equal(over, 0);
  assert.equal(renewal.shown(ENDED, true).state, "connecting");
  t.mock.timers.tick(5_000);
  assert.equal(renewal.shown(ENDED, true).state, "connecting");
  t.mock.timers.tick(3_000);
  assert.equal(over, 1);
  assert.equal(renewal.shown(ENDED, true), ENDED);
});

test("whom the application does not know, who never was signed in, and what is no sign-out is said at once", () => {
  const renewal = new Renewal(() => {});
  assert.equal(renewal.shown(ENDED, true), ENDED);
  renewal.shown(LIVE, true);
  assert.equal(renewal.shown(ENDED, false), ENDED);
  const refused = { state: "offline", reason: "network" };
  assert.equal(renewal.shown(refused, true), refused);
  renewal.clear();
  assert.equal(renewal.shown(ENDED, true), ENDED);
});

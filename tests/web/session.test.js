// The sign-in of a tab: what it makes of the answers of the application, and of what its other tabs say.

import assert from "node:assert/strict";
import test from "node:test";
import { settled } from "./fake-host.js";
import { FakeStorage } from "./fake-storage.js";
import { rawToken, tokenOf } from "./fake-token.js";

/** @type {Set<FakeChannel>} */
const channels = new Set();

class FakeChannel extends EventTarget {
  constructor() {
    super();
    channels.add(this);
  }

  postMessage(data) {
    for (const each of channels) {
      if (each !== this) queueMicrotask(() => each.dispatchEvent(Object.assign(new Event("message"), { data })));
    }
  }
}

Object.assign(globalThis, {
  BroadcastChannel: FakeChannel,
  addEventListener() {},
  location: new URL("https://relay.test/live/"),
  sessionStorage: new FakeStorage(),
});
const { Session } = await import("../../relay/web/dashboard/session.js");

/** Tabs of one browser. Their application answers when the test says so. */
function given(count = 1) {
  channels.clear();
  const questions = [];
  globalThis.fetch = () => {
    return new Promise((answer) => questions.push((token) => answer({ ok: true, status: 200, text: async () => token })));
  };
  const tabs = Array.from({ length: count }, () => {
    const tab = { others: 0, news: 0, session: undefined };
    tab.session = new Session({
      tokenUrl: "/live-token",
      onOther: () => (tab.others += 1),
      onNews: () => (tab.news += 1),
    });
    return tab;
  });
  return { tabs, questions };
}

/** Asks for a token, and answers the question of the application. */
async function renew({ session }, questions, token) {
  const given = session.token();
  await settled();
  questions.shift()(token);
  const got = await given;
  await settled();
  return got;
}

test("an answer that comes after that to a later question is not taken for the user of now", async () => {
  const { tabs: [tab], questions } = given();
  const { session } = tab;
  const [alice, bob] = [tokenOf("alice"), tokenOf("bob")];
  assert.equal(await renew(tab, questions, alice), alice);
  // Given two questions, of which the first takes its time,
  const late = session.token();
  const soon = session.token();
  await settled();
  // when the second is answered with the next user, and only then the first,
  questions[1](bob);
  await soon;
  questions[0](alice);
  // then the page begins again for the next user, and for nobody afterwards.
  assert.equal(await late, bob);
  assert.deepEqual([tab.others, session.current], [1, bob]);
});

test("another user begins the page again, and so does nobody", async () => {
  const { tabs: [tab], questions } = given();
  for (const [answer, others] of [[tokenOf("a"), 0], [tokenOf("a", 1), 0], [tokenOf("b"), 1], ["", 2], [tokenOf("b"), 2]]) {
    await renew(tab, questions, answer);
    assert.equal(tab.others, others, answer);
  }
  tab.session.forgetUser();
  await renew(tab, questions, tokenOf("a"));
  assert.equal(tab.others, 2);
});

for (const [who, tokenFor] of Object.entries({
  "has a name": (serial) => tokenOf("alice", serial),
  "is a number beyond those of JavaScript": (serial) => rawToken(`{"sub":9007199254740993,"serial":${serial}}`),
  "cannot be read": (serial) => rawToken(`{"serial":${serial}}`),
})) {
  test(`tabs of one user do not ask for tokens because of each other: one who ${who}`, async () => {
    const { tabs, questions } = given(2);
    let serial = 0;
    for (let round = 0; round < 3; round += 1) {
      for (const tab of tabs) await renew(tab, questions, tokenFor((serial += 1)));
    }
    assert.deepEqual(tabs.map(({ others }) => others), [0, 0]);
    // The second tab has heard of a user when it had none yet; after that there is nothing new.
    assert.deepEqual(tabs.map(({ news }) => news), [0, 1]);
  });
}

test("a tab hears of another user, and of a sign-out, from another tab", async () => {
  const { tabs: [one, other], questions } = given(2);
  for (const tab of [one, other]) await renew(tab, questions, tokenOf("alice"));
  const before = other.news;
  await renew(one, questions, tokenOf("bob"));
  assert.equal(other.news, before + 1);
  await renew(one, questions, "");
  assert.equal(other.news, before + 2);
});

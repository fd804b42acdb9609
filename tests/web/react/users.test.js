// No hook shows one user's data to another, whatever the order of sign-ins, sign-outs, renders, events and faults.
//
// Every component checks each of its renders. The seed of a run that fails is in the message.

import assert from "node:assert/strict";
import test from "node:test";
import { tokenOf } from "../fake-token.js";
import { given, h, hooks, React, suspense, URL_OF_RELAY as url } from "./render.js";

const RUNS = Number(process.env.RUNS ?? 2); // more of them find rarer faults
const STEPS = 25;
const USERS = ["alice", "bob", "carol"];
const TASKS = USERS.map((user) => `${user}/t`);

/** Ways in which an application says who is signed in. */
const WAYS = {
  "a user, and a function that is another one at each render": (session) => ({
    url, user: session.user, token: () => session.later(session.user && `${session.user}-${session.serial}`),
  }),
  "a user, and tokens that cannot be read": (session) => ({
    url, user: session.user, token: session.user && `${session.user}-${session.serial}`,
  }),
  "tokens that cannot be read": (session) => ({ url, token: session.user && `${session.user}-${session.serial}` }),
  "tokens that can be read": (session) => ({ url, token: session.user && tokenOf(session.user, session.serial) }),
  "a user, and connections of the application": (session) => ({ user: session.user, relay: session.relay }),
};

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function userOf(token = "") {
  const payload = token.split(".")[1];
  return payload ? JSON.parse(Buffer.from(payload, "base64url").toString()).sub : token.split("-")[0];
}

/** Components of one user: all that they ever read has to be that user's. */
function partsOf(session, check) {
  const Everything = ({ user }) => {
    const list = hooks.useDashboardSubscription();
    const view = hooks.useTasks({ where: () => true, limit: 2 });
    const tasks = TASKS.map((taskId) => hooks.useTaskSubscription(taskId));
    const titles = hooks.useDashboardSubscription({}, (all) => all.tasks.map(({ taskId }) => taskId));
    hooks.useMessage("task:event_added", ({ taskId }) => check(session.user, [taskId], "a message"));
    check(user, [...list.tasks, ...view.tasks].map(({ taskId }) => taskId), "the list");
    check(user, titles, "a selector");
    check(user, tasks.flatMap(({ task, events }) => [...(task ? [task.taskId] : []), ...events.map(({ data }) => data)]), "a task");
    check(user, hooks.useMe().sub ?? [], "me");
    return null;
  };
  const Waiting = React.memo(function Waiting({ user }) {
    const { tasks } = suspense.useTasks();
    check(user, tasks.map(({ taskId }) => taskId), "a list below Suspense");
    return tasks.length;
  });
  return (user) => [h(Everything, { key: 1, user }), h(React.Suspense, { key: 2, fallback: null }, h(Waiting, { user }))];
}

async function play(way, seed) {
  const random = randomOf(seed);
  const pick = (some) => some[Math.floor(random() * some.length)];
  const page = given(...TASKS);
  const greet = page.world.onSocket;
  page.relay.blocked = random() < 0.3; // then it polls
  page.relay.maySee = (token, taskId) => userOf(token) === taskId.split("/")[0];
  page.world.onSocket = (socket) => {
    const welcome = socket.welcome.bind(socket);
    socket.welcome = () => welcome(25_000, undefined, { sub: [userOf(socket.token ?? "-")] });
    greet(socket);
  };
  let shown = 0;
  const check = (user, ids, where) => {
    shown += ids.length;
    const foreign = ids.filter((id) => id.split("/")[0] !== user);
    assert.deepEqual(foreign, [], `seed ${seed}: ${where} of ${user} shows what is another user's`);
  };
  const session = {
    user: null,
    serial: 0,
    relay: undefined,
    later: (token) => new Promise((done) => page.world.host.setTimeout(() => done(token), random() * 300)),
    signIn(user) {
      this.user = user;
      this.serial += 1;
      const token = `${user}-${this.serial}`;
      if (!this.relay || random() < 0.8) this.relay = page.connect({ token: () => this.later(token) });
    },
  };
  const parts = partsOf(session, check);
  const render = () => page.render(h(hooks.RelayProvider, WAYS[way](session), parts(session.user)));
  const append = (user) => page.append(`${user}/t`, `${user}/event`);
  const actions = [
    () => session.signIn(pick(USERS)),
    () => session.signIn(pick(USERS)),
    () => (session.user = null),
    () => (session.user && (session.serial += 1)),
    () => append(pick(USERS)),
    () => page.pass(random() * 1_500),
    () => page.pass(random() * 400),
    () => page.act(() => page.relay.cut()),
  ];
  session.signIn("alice");
  await render();
  for (let step = 0; step < STEPS; step += 1) {
    await pick(actions)();
    await render();
  }
  await page.end();
  await page.pass(2_000);
  return shown;
}

for (const way of Object.keys(WAYS)) {
  test(`nothing of one user is shown to another: ${way}`, async () => {
    let shown = 0;
    for (let seed = 1; seed <= RUNS; seed += 1) shown += await play(way, seed);
    assert.ok(shown > 10 * RUNS, `only ${shown} ids were shown`);
  });
}

// The hooks in React itself (18 and 19): what renders when, connections of the application, messages, Suspense.

import assert from "node:assert/strict";
import test from "node:test";
import { given, h, hooks, React, suspense, URL_OF_RELAY as url } from "./render.js";

const { RelayProvider } = hooks;
const token = () => "token";

/** A component that counts its renders and keeps what it read last. */
function probe(read) {
  const seen = { renders: 0, value: undefined };
  const Probe = React.memo(function Probe(props) {
    seen.renders += 1;
    seen.value = read(props);
    return null;
  });
  return [seen, h(Probe)];
}

/** What is rendered first, and after each turn of what happens. */
async function rendersOf(seen, happens) {
  const before = seen.renders;
  await happens();
  return seen.renders - before;
}

test("a component with a selector renders only when its part changed", async () => {
  const page = given("t", "u");
  const [task, Task] = probe(() => hooks.useTaskSubscription("t"));
  const [count, Count] = probe(() => hooks.useTaskSubscription("t", ({ events }) => events.length > 1));
  const [ids, Ids] = probe(() => hooks.useDashboardSubscription({}, ({ tasks }) => tasks.map(({ taskId }) => ({ taskId }))));
  const [state, State] = probe(() => hooks.useWebSocket(({ state }) => state));
  await page.render(h(RelayProvider, { url, token }, Task, Count, Ids, State));
  await page.pass();
  assert.deepEqual([count.value, ids.value.map(({ taskId }) => taskId), state.value], [false, ["u", "t"], "live"]);
  const held = ids.value;
  const all = [task, count, ids, state];
  const append = async (taskId) => {
    const before = all.map(({ renders }) => renders);
    await page.append(taskId);
    return all.map(({ renders }, index) => renders - before[index]);
  };
  assert.deepEqual(await append("t"), [1, 0, 0, 0]);
  assert.deepEqual(await append("t"), [1, 1, 0, 0]);
  assert.deepEqual(await append("u"), [0, 0, 0, 0]);
  assert.equal(ids.value, held);
  assert.deepEqual(await append("v"), [0, 0, 1, 0]);
  await page.end();
});

test("useTasks is a part of the list that renders only when it changes, with functions that are others each time", async () => {
  const page = given("a", "b", "c");
  const options = () => ({
    where: ({ eventCount }) => eventCount > 0,
    orderBy: (one, other) => other.eventCount - one.eventCount,
    limit: 2,
  });
  const [view, View] = probe(() => hooks.useTasks(options()));
  await page.render(h(RelayProvider, { url, token }, View));
  assert.deepEqual(view.value, { state: "ready", tasks: [] });
  for (const taskId of ["a", "b", "b"]) await page.append(taskId);
  assert.deepEqual(view.value.tasks.map(({ taskId }) => taskId), ["b", "a"]);
  const { value } = view;
  assert.equal(await rendersOf(view, async () => {
    await page.append("c"); // as many events as `a`, and newer: it takes the second place
  }), 1);
  assert.equal(view.value.tasks[0], value.tasks[0]);
  assert.equal(await rendersOf(view, async () => {
    page.relay.hidden.add("a");
    await page.act(() => page.world.sockets[0].receive("dashboard:task_list_updated", { change: "revoked", taskId: "a" }));
    await page.pass();
  }), 0);
  await page.end();
});

test("useMessage calls the listener of the last render, for its type only, until the component is gone", async () => {
  const page = given();
  const heard = [];
  const Toasts = ({ name }) => {
    hooks.useMessage("task:failed", ({ taskId }, { type }) => heard.push([name, taskId, type]));
    return null;
  };
  const shown = (name) => h(RelayProvider, { url, token }, name && h(Toasts, { name }));
  const fail = (taskId) => page.act(() => page.world.sockets[0].receive("task:failed", { taskId }));
  await page.render(shown("one"));
  await fail("1");
  await page.render(shown("two"));
  await fail("2");
  await page.act(() => page.world.sockets[0].receive("task:created", { taskId: "3" }));
  await page.render(shown(null));
  await fail("4");
  assert.deepEqual(heard, [["one", "1", "task:failed"], ["two", "2", "task:failed"]]);
  await page.end();
});

test("the provider reports each change of the connection, and each error of the relay", async () => {
  const page = given();
  const [statuses, errors] = [[], []];
  const [, Hidden] = probe(() => hooks.useTaskSubscription("hidden"));
  const props = { url, token, onStatus: ({ state }) => statuses.push(state), onError: ({ code, taskId }) => errors.push([code, taskId]) };
  await page.render(h(RelayProvider, props, Hidden));
  await page.pass();
  await page.act(() => page.world.sockets[0].ends());
  assert.deepEqual([statuses, errors], [["connecting", "live", "offline"], [["forbidden", "hidden"]]]);
  await page.end();
});

test("useRelay is the connection, null before there is one and after another address another one", async () => {
  const page = given();
  const seen = [];
  const Reader = () => {
    seen.push(hooks.useRelay());
    return null;
  };
  await page.render(h(RelayProvider, { url, token }, h(Reader)));
  const first = seen.at(-1);
  assert.deepEqual([seen[0], first.status.state], [null, "live"]);
  await page.render(h(RelayProvider, { url: "ws://other.test/ws", token }, h(Reader)));
  assert.notEqual(seen.at(-1), first);
  assert.equal(page.world.sockets[0].closed, true);
  await page.end();
});

test("a connection of the application is shared and not closed, and is left when the provider is gone", async () => {
  const page = given("t");
  const relay = page.connect({ token });
  const [task, Task] = probe(() => [hooks.useTaskSubscription("t").state, hooks.useRelay() === relay, hooks.useMe()]);
  await page.render(h(React.StrictMode, null, h(RelayProvider, { relay }, Task)));
  await page.pass();
  assert.deepEqual(task.value, ["ready", true, relay.me]);
  assert.equal(page.world.sockets.length, 1);
  await page.render(null);
  await page.pass(3_000);
  assert.equal(relay.status.state, "live");
  assert.deepEqual(page.world.sockets[0].sent.map(({ type }) => type).filter((type) => type.startsWith("task")), ["task:join", "task:leave"]);
  await page.end();
  relay.close();
});

test("a connection of the application that becomes another user's shows nothing of the first one's", async () => {
  const page = given("alice/t");
  page.relay.maySee = (given, taskId) => taskId.startsWith(given ?? "");
  let sub = "alice";
  const greet = page.world.onSocket;
  page.world.onSocket = (socket) => {
    socket.welcome = () => {
      socket.readyState = 1;
      socket.receive("welcome", { heartbeatMs: 25_000, sub: socket.token });
    };
    greet(socket);
  };
  const relay = page.connect({ token: () => sub });
  const [list, List] = probe(() => hooks.useDashboardSubscription().tasks.length);
  await page.render(h(RelayProvider, { relay }, List));
  await page.pass();
  assert.equal(list.value, 1);
  sub = "bob";
  const { renders } = list;
  page.relay.refuse = ({ type }) => (type === "dashboard:join" ? { code: "unavailable", message: "No.", temporary: true } : undefined);
  await page.act(() => page.world.sockets[0].ends(1001));
  await page.pass(3_000);
  assert.equal(page.world.sockets.at(-1).token, "bob");
  assert.deepEqual([list.renders > renders, list.value], [true, 0]);
  await page.end();
  relay.close();
});

test("another user, or another connection, starts again at once, and what components hold themselves stays", async () => {
  const page = given("alice/t", "bob/t");
  page.relay.maySee = (given, taskId) => taskId.startsWith(given.split("-")[0]);
  const mounted = [];
  const Titles = () => {
    React.useEffect(() => void mounted.push("Titles"), []);
    return hooks.useDashboardSubscription().tasks.map(({ taskId }) => taskId).join();
  };
  const texts = [];
  const show = async (props) => {
    await page.render(h(RelayProvider, props, h(Titles)));
    await page.pass();
    texts.push(page.text());
  };
  const closed = () => page.world.sockets.map((socket) => socket.closed);
  await show({ url, user: "alice", token: () => "alice-1" });
  await show({ url, user: "alice", token: () => "alice-2" });
  assert.deepEqual(closed(), [false]);
  await show({ url, user: "bob", token: () => "bob-1" });
  assert.deepEqual(closed(), [true, false]);
  const [one, other] = [page.connect({ token: () => "alice-3" }), page.connect({ token: () => "bob-3" })];
  await show({ relay: one });
  await show({ relay: other });
  const [alice, bob] = ['"alice/t"', '"bob/t"'];
  assert.deepEqual(texts, [alice, alice, bob, alice, bob]);
  assert.deepEqual([closed(), mounted], [[true, true, false, false], ["Titles"]]);
  await page.end();
  one.close();
  other.close();
});

test("rendering again with the same token changes nothing, even where the client sends it without its newline", async () => {
  const page = given("t");
  const [list, List] = probe(() => hooks.useDashboardSubscription().state);
  for (let time = 0; time < 3; time += 1) {
    await page.render(h(RelayProvider, { url, token: "opaque\n" }, List));
    await page.pass();
  }
  assert.deepEqual([list.value, page.world.sockets.map(({ token }) => token)], ["ready", ["opaque"]]);
  await page.end();
});

test("components wait below Suspense until their task is there, and again for another task or user", async () => {
  const page = given("alice/t", "alice/u", "bob/t");
  page.relay.maySee = (given, taskId) => taskId.startsWith(given.split("-")[0]);
  const states = new Set();
  const Title = ({ taskId }) => {
    const { state, events } = suspense.useTaskSubscription(taskId);
    const { tasks } = suspense.useTasks({ where: (task) => task.taskId === taskId });
    states.add(state);
    return `${taskId} ${state} ${events.length} ${tasks.length}`;
  };
  const shown = (user, taskId) => h(RelayProvider, { url, user, token: () => `${user}-1` },
    h(React.Suspense, { fallback: "waiting" }, h(Title, { taskId })));
  page.relay.blocked = true;
  await page.render(shown("alice", "alice/t"));
  assert.equal(page.text(), '"waiting"');
  page.relay.blocked = false;
  await page.pass(5_000);
  assert.equal(page.text(), '"alice/t ready 0 1"');
  await page.append("alice/t");
  await page.pass(6_000);
  assert.equal(page.text(), '"alice/t ready 1 1"');
  await page.render(shown("alice", "alice/u"));
  await page.pass(500);
  assert.equal(page.text(), '"alice/u ready 0 1"');
  await page.render(shown("bob", "alice/u"));
  await page.pass(500);
  assert.equal(page.text(), '"alice/u forbidden 0 0"');
  assert.deepEqual(states, new Set(["ready", "forbidden"]));
  await page.end();
});

test("a component that waits for one user's list gets that of the next user", async () => {
  const page = given("alice/t", "bob/t");
  page.relay.maySee = (given, taskId) => taskId.startsWith(given.split("-")[0]);
  const Titles = () => suspense.useTasks().tasks.map(({ taskId }) => taskId).join();
  const content = h(React.Suspense, { fallback: "waiting" }, h(Titles));
  const show = (user, given) => page.render(h(RelayProvider, { url, user, token: given }, content));
  await show("alice", () => new Promise(() => {}));
  assert.equal(page.text(), '"waiting"');
  await show("bob", () => "bob-1");
  await page.pass(500);
  assert.equal(page.text(), '"bob/t"');
  await page.end();
});

// An application tests itself with a fake relay, which knows the application's own events.
import { connect, type Relay } from "task-relay-client";
import { fakeRelay, type FakeRelay, type GivenTask } from "task-relay-client/testing";

interface MyEvents {
  note: { text: string };
  built: { version: number };
}

const task: GivenTask<MyEvents> = { taskId: "t", title: "One", events: [{ type: "note", text: "Hello" }] };
const fake: FakeRelay<{ events: MyEvents }> = fakeRelay<{ events: MyEvents }>({ tasks: [task], me: "alice" });
const relay: Relay<{ events: MyEvents }> = fake.relay;
const other: Relay = connect({ ...fake.options, joinEarly: true });
const done: Promise<void> = fake.push("t", { type: "built", version: 2, at: new Date() }, { status: "failed" });
// @ts-expect-error the application has no such event
fake.push("t", { type: "remark" });
// @ts-expect-error a note has a text
fake.push("t", { type: "note", version: 2 });
// @ts-expect-error a task has no such field
fake.set("t", { titel: "Two" });
// @ts-expect-error the relay counts the events
fake.set("t", { eventCount: 2 });
// @ts-expect-error a task has an id
fake.add({ title: "Two" });
fake.set("t", { error: undefined, createdAt: new Date() });
fake.failNextJoin("unavailable");
// @ts-expect-error there is no such error
fake.failNextJoin("no");

// Without such types, an event has any type and any data.
const any: FakeRelay = fakeRelay({ tasks: [{ taskId: "t" }], me: { sub: "alice", teams: ["red"] } });
any.push("t", { type: "remark", deep: { inside: [1] } });
// @ts-expect-error an event has a type
any.push("t", { text: "Hello" });
export { relay, other, done };

// The states of lists, tasks and the connection, and what is not to be modified.
import { connect, type ListState, type SelectionChange, type Status, type TimelineState } from "task-relay-client";
import { sectionOf, stateWord, type Section } from "task-relay-client/view";

const relay = connect({ url: new URL("wss://relay.test/ws"), token: () => null });
const list = relay.joinDashboard({ limit: undefined });
const task = relay.joinTask("t");

// @ts-expect-error there is no such state
if (list.state === "redy") relay.close();
// @ts-expect-error there is no such state
if (task.state === "closed") relay.close();
// @ts-expect-error there is no such state
if (relay.status.state === "closed") relay.close();
// @ts-expect-error a list is not deleted
if (list.state === "deleted") relay.close();
const ended: TimelineState[] = ["deleted", "revoked", "forbidden"];
const shown: ListState = list.state === "ready" ? list.state : "loading";
ended.includes(task.state);

const off: () => void = relay.onStatus(({ state, nextTryAt }: Status) => [state, nextTryAt?.toFixed()]);
list.select({ where: (one) => one.stage === "failed", limit: undefined }).onChange(
  ({ tasks, added }: SelectionChange) => [tasks.length, added[0]?.title?.length, off(), shown],
);
// @ts-expect-error there is no such stage
list.select({ where: (one) => one.stage === "done" });
// @ts-expect-error a list may be empty
list.tasks[0].taskId;
// @ts-expect-error what is shown is not to be modified
list.tasks.push({ taskId: "t", eventCount: 0 });

const sections: Section[] = list.tasks.map((one) => sectionOf(one, relay.me));
export const title = `${stateWord(relay.status)} ${sections.length}`;
// @ts-expect-error there is no such section
sections.push("elsewhere");

// The hooks and components of React.
import { createElement } from "react";
import { connect } from "task-relay-client";
import {
  ConnectionStatus, RelayProvider, typedHooks, useDashboardSubscription, useMessage, useRelay, useTasks,
  useTaskSubscription, useWebSocket,
} from "task-relay-client/react";
import * as suspense from "task-relay-client/react/suspense";

function Title({ taskId, limit }: { taskId: string | null; limit?: number }) {
  const { state, task, events } = useTaskSubscription(taskId);
  const list = useDashboardSubscription({ limit });
  // @ts-expect-error what is shown is not to be modified
  events.push(null);
  // @ts-expect-error there is no such state
  if (list.state === "redy") return null;
  // @ts-expect-error there is no such state
  if (state === "nothing") return null;
  return `${state === "none"} ${task?.title?.length} ${events[0]?.type} ${list.tasks[0]?.stage}`;
}
createElement(RelayProvider, { url: "/ws", token: async () => "token" },
  createElement(ConnectionStatus, { className: "mine" }), createElement(Title, { taskId: null }));
// @ts-expect-error there has to be a token
createElement(RelayProvider, { url: "/ws" });

interface MyEvents {
  note: { text: string };
}
const relay = connect<{ events: MyEvents }>({ url: "/ws", token: () => "token" });
createElement(RelayProvider, { relay, user: 7, onStatus: ({ state }) => state === "live", onError: ({ code }) => code === "internal" });
// @ts-expect-error a connection has its token already
createElement(RelayProvider, { relay, token: "token" });
// @ts-expect-error there is no such code
createElement(RelayProvider, { relay, onError: ({ code }) => code === "intern" });

const typed = typedHooks<{ events: MyEvents }>();
export function Parts({ taskId }: { taskId: string }) {
  const count: number = useTaskSubscription(taskId, ({ events }) => events.length);
  const ids: string[] = useDashboardSubscription({}, ({ tasks }) => tasks.map((task) => task.taskId));
  const live: boolean = useWebSocket(({ state }) => state === "live");
  const { tasks } = useTasks({ where: (task) => task.stage === "failed", orderBy: (a, b) => a.eventCount - b.eventCount });
  // @ts-expect-error there is no such stage
  useTasks({ where: (task) => task.stage === "done" });
  useMessage("task:pr_opened", ({ prUrl }, { at }) => `${prUrl?.trim()} ${at}`);
  // @ts-expect-error there is no such message
  useMessage("task:opened", () => undefined);
  // @ts-expect-error there is no connection before the provider is mounted
  useRelay().retry();
  const [event] = typed.useTaskSubscription(taskId).events;
  const text: string | undefined = event?.data.text;
  // @ts-expect-error the application has no such event
  typed.useTaskSubscription(taskId, ({ events }) => events[0]?.type === "remark");
  typed.useMessage("task:event_added", (data) => data.event?.data.text.length);
  const own = typed.useRelay()?.joinTask(taskId).events[0]?.data.text;
  // @ts-expect-error a task that is there is not loading, but it may have ended
  if (suspense.useTaskSubscription(taskId).state === "gone") return null;
  return [count, ids.length, live, tasks.length, text, own, suspense.useTasks().tasks.length].join();
}

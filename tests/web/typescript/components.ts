// The hooks and components of React.
import { createElement } from "react";
import { ConnectionStatus, RelayProvider, useDashboardSubscription, useTaskSubscription } from "task-relay-client/react";

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

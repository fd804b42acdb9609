// Each type of message has its own data.
import { connect, type MessageData, type ServerMessage } from "task-relay-client";

const relay = connect({ url: "/ws", token: async () => "token" });

const off: () => void = relay.on("task:failed", (data, message) => {
  const why: string = data.error ?? "unknown";
  const type: "task:failed" = message.type;
  const at: string | undefined = message.at;
  // @ts-expect-error a failed task has no pull request
  data.prUrl;
  // @ts-expect-error an error may be absent
  data.error.length;
  return [why, type, at];
});
off();
relay.on("task:pr_opened", ({ prUrl, prNumber }) => `${prUrl?.trim()} ${prNumber?.toFixed()}`);
relay.on("dashboard:task_list_updated", (data) => (data.change === "upserted" ? data.eventCount : data.change.length));
// @ts-expect-error only an upserted task has a summary
relay.on("dashboard:task_list_updated", (data) => data.eventCount);
relay.on("error", ({ code }) => code === "forbidden");
// @ts-expect-error there is no such code
relay.on("error", ({ code }) => code === "forbiden");
// @ts-expect-error there is no such message
relay.on("task:opened", () => undefined);
// @ts-expect-error a request is no message
relay.on("task:join", () => undefined);

relay.onMessage((message) => {
  // @ts-expect-error before its type is known, its data is not
  message.data.error;
  if (message.type === "task:failed") return message.data.error?.toUpperCase();
  // @ts-expect-error there is no such message
  if (message.type === "task:faild") return 1;
  switch (message.type) {
    case "task:created":
      // @ts-expect-error a created task has no error
      return message.data.error;
    case "task:state":
      return message.data.events[0]?.type?.length;
    default: // also a message that a newer relay sends
      return undefined;
  }
});

export function titleOf(message: ServerMessage): string | undefined {
  return message.type === "task:created" ? message.data.title : undefined;
}
export function showFailure({ taskId, error }: MessageData<"task:failed">): string {
  return `${taskId}: ${error ?? "failed"}`;
}
relay.on("task:failed", showFailure);
// @ts-expect-error the listener is for another message
relay.on("heartbeat", showFailure);

// An application names the types of its own events and their data.
import { connect, type Event, type Relay, type Timeline } from "task-relay-client";

interface MyEvents {
  note: { text: string };
  "change proposed": { info: { change: string } };
}

const relay = connect<{ events: MyEvents }>({ url: "/ws", token: () => "token" });
const task = relay.joinTask("t");

export function textOf(event: Event<MyEvents>): string {
  switch (event.type) {
    case "note":
      // @ts-expect-error the data of a note has no such field
      event.data.txt;
      return event.data.text;
    case "change proposed":
      return event.data.info.change;
  }
}
for (const event of task.events) if (event !== null) textOf(event);
// @ts-expect-error the array may have a hole
textOf(task.events[0] ?? null);
// @ts-expect-error the application has no such event
if (task.events[0]?.type === "remark") task.events.length;

relay.on("task:event_added", ({ event, index }) => {
  if (event?.type === "change proposed") return event.data.info.change.length + index;
  // @ts-expect-error the application has no such event
  return event?.type === "pr_opened";
});
relay.onMessage((message) => {
  if (message.type === "task:state") message.data.events.map((event) => event && textOf(event));
});
// @ts-expect-error the events of an application are not messages of their own
relay.on("change proposed", () => undefined);

// Without such types, an event has any type and any data.
const any: Timeline = connect({ url: "/ws", token: () => "token" }).joinTask("t");
const free: string | null | undefined = any.events[0]?.type;
export const message: unknown = [any.events[0]?.data.message, free];
// A relay with types of its own is a relay.
export const relays: Relay[] = [relay];
// @ts-expect-error events are named by an object
connect<{ events: "note" }>({ url: "/ws", token: () => "token" });

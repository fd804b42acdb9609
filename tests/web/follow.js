// A process that follows one task and the list with the real client, for tests/integration/test_transports.py.
// Tells a line of JSON whenever something changed: how it is, how many events it holds, how many the list says
// there are, and how often something was missing or came twice. Told `online`, the machine is; told `show`,
// it shows the events.

import { createInterface } from "node:readline";
import { connect } from "../../relay/web/client/index.js";

const [url, token, taskId] = process.argv.slice(2);
const online = new Set();
const relay = connect({
  url,
  token: () => token,
  host: {
    random: () => 0, // each try at once
    on(event, call) {
      if (event === "online") online.add(call);
      return () => void online.delete(call);
    },
  },
});
const list = relay.joinDashboard();
const timeline = relay.joinTask(taskId);
let held = 0;
let wrong = 0;

function tell(events) {
  const { state } = relay.status;
  const listed = list.get(taskId)?.eventCount ?? 0;
  process.stdout.write(`${JSON.stringify({ state, count: timeline.events.length, listed, wrong, events })}\n`);
}

relay.onStatus(() => tell());
relay.onMessage(({ type, data }) => {
  if (type !== "task:state" && type !== "task:event_added") return;
  if ((type === "task:state" ? data.from : data.index) !== held) wrong += 1;
  held = data.next;
});
list.onChange(() => tell());
timeline.onChange(() => tell());
createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line === "online") online.forEach((call) => call());
    else tell(timeline.events.map((event) => event?.data.n));
  })
  .on("close", () => process.exit());

// A process that follows one task and the list with the real client, for tests/integration/test_transports.py.
// It writes a line of JSON after each change: its status, the number of its events, their number in the list, and how
// often events were missing or came twice. The input `online` sends that event of the machine; `show` writes the
// events.

import { createInterface } from "node:readline";
import { connect } from "../../relay/web/client/index.js";

const [url, token, taskId] = process.argv.slice(2);
const online = new Set();
const relay = connect({
  url,
  token: () => token,
  host: {
    random: () => 0, // every attempt is made at once
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

function report(events) {
  const { state } = relay.status;
  const listed = list.get(taskId)?.eventCount ?? 0;
  process.stdout.write(`${JSON.stringify({ state, count: timeline.events.length, listed, wrong, events })}\n`);
}

relay.onStatus(() => report());
relay.onMessage(({ type, data }) => {
  if (type !== "task:state" && type !== "task:event_added") return;
  if ((type === "task:state" ? data.from : data.index) !== held) wrong += 1;
  held = data.next;
});
list.onChange(() => report());
timeline.onChange(() => report());
createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line === "online") online.forEach((call) => call());
    else report(timeline.events.map((event) => event?.data.n));
  })
  .on("close", () => process.exit());

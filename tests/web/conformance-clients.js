// Browser clients, or with the argument `react` stores of the React hooks, for tests/integration/test_conformance_kit.py.
// Each line of the input starts one, `{name, url, tokenUrl, taskId}`, or stops it, `{stop: name}`. After each change it
// writes the name, and the events and the list that this client shows.

import { createInterface } from "node:readline";
import { connect } from "../../relay/web/client/index.js";
import { Store } from "../../relay/web/react/store.js";

const LIMIT = 500;
const start = process.argv[2] === "react" ? startStore : startClient;
const running = new Map();

/** Returns a function that ends the client. */
function startClient({ url, token, taskId, print }) {
  const relay = connect({ url, token });
  const list = relay.joinDashboard();
  const timeline = relay.joinTask(taskId);
  const show = () => print(timeline.events, list.tasks);
  list.onChange(show);
  timeline.onChange(show);
  return () => relay.close();
}

function startStore({ url, token, taskId, print }) {
  const store = new Store({ frame: (call) => setTimeout(call) });
  store.token = token;
  const show = () => print(store.task(taskId).events, store.dashboard.tasks);
  const ends = [store.watchDashboard(show, LIMIT), store.watchTask(taskId, show), store.open(url)];
  return () => ends.forEach((end) => end());
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const { name, url, tokenUrl, taskId, stop } = JSON.parse(line);
  if (stop) return running.get(stop)();
  const token = async () => (await fetch(tokenUrl)).text();
  const print = (events, tasks) => process.stdout.write(`${name} ${JSON.stringify({ events, tasks })}\n`);
  running.set(name, start({ url: `${url}/ws`, token, taskId, print }));
});

// The components on a server: they render what a browser shows first, and do not connect.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test from "node:test";
import * as relay from "../../../relay/web/react/index.js";
import * as suspense from "../../../relay/web/react/suspense.js";

const packages = createRequire(new URL("../../../relay/web/package.json", import.meta.url));
const { createElement, StrictMode, Suspense } = packages("react");
const { renderToString } = packages("react-dom/server");

function Everything() {
  const { state } = relay.useWebSocket();
  const list = relay.useDashboardSubscription({ limit: 10 });
  const task = relay.useTaskSubscription("t");
  const none = relay.useTaskSubscription(null);
  const { offline, networkOnline } = relay.useOfflineDetection();
  return JSON.stringify([state, list.state, list.tasks, task.state, task.events, none.state, offline, networkOnline]);
}

test("rendering on a server opens no connection and shows everything as loading", () => {
  const props = { url: "/ws", token: () => assert.fail("a connection begins with its token") };
  const parts = [Everything, relay.ConnectionStatus, relay.OfflineBanner].map((part) => createElement(part, { key: part.name }));
  const html = renderToString(createElement(StrictMode, null, createElement(relay.RelayProvider, props, parts)));
  assert.ok(html.startsWith('[&quot;connecting&quot;,&quot;loading&quot;,[],&quot;loading&quot;,[],&quot;none&quot;,false,true]'), html);
  assert.match(html, /class="relay-connection" data-connection="connecting"><span role="status">.*Connecting/);
  assert.match(html, /<div role="status"><\/div>$/);
});

test("a component that waits shows the fallback of its Suspense", () => {
  const Waiting = () => suspense.useTasks().tasks.length;
  const element = createElement(Suspense, { fallback: "waiting" }, createElement(Waiting));
  const html = renderToString(createElement(relay.RelayProvider, { url: "/ws", token: () => null }, element));
  assert.match(html, /waiting/);
});

test("a hook without a provider throws an error that names the provider", () => {
  assert.throws(() => renderToString(createElement(Everything)), /no RelayProvider above/);
});

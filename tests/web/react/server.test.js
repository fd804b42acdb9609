// The components on a server: they render what a browser shows first, and do not connect.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Writable } from "node:stream";
import test from "node:test";
import * as relay from "../../../relay/web/react/index.js";
import * as suspense from "../../../relay/web/react/suspense.js";

const packages = createRequire(new URL("../../../relay/web/package.json", import.meta.url));
const { createElement, StrictMode, Suspense } = packages("react");
const { renderToPipeableStream, renderToString } = packages("react-dom/server");

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

test("a component that waits shows the fallback of its Suspense, and Next.js takes that for no error", async () => {
  const Waiting = () => suspense.useTasks().tasks.length;
  const element = createElement(Suspense, { fallback: "waiting" }, createElement(Waiting));
  const page = createElement(relay.RelayProvider, { url: "/ws", token: () => null }, element);
  const digests = [];
  const html = await new Promise((resolve) => {
    const stream = renderToPipeableStream(page, {
      onError: ({ digest }) => digests.push(digest),
      onAllReady: () => stream.pipe(new Writable({ write: (text, _, done) => (resolve(String(text)), done()) })),
    });
  });
  assert.match(html, /waiting/);
  assert.deepEqual(digests, ["BAILOUT_TO_CLIENT_SIDE_RENDERING"]);
});

test("a hook without a provider throws an error that names the provider", () => {
  assert.throws(() => renderToString(createElement(Everything)), /no RelayProvider above/);
});

test("a provider without an address or a connection throws an error that names both", () => {
  const missing = /** @type {any[]} */ ([{ token: "t" }, { url: undefined, token: "t" }, { relay: null }, {}]);
  for (const props of missing) {
    assert.throws(() => renderToString(createElement(relay.RelayProvider, props)), /needs the properties `url` and `token`, or `relay`/);
  }
});

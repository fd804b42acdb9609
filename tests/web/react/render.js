// React without a page, on a fake relay: React 19 as the package has it, or React 18 with REACT=18.

import { createRequire, register } from "node:module";
import { pathToFileURL } from "node:url";
import { connect } from "../../../relay/web/client/index.js";
import { settled } from "../fake-host.js";
import { FakeRelay } from "../fake-relay.js";

const folder = process.env.REACT === "18" ? "./package.json" : "../../../relay/web/package.json";
const packages = createRequire(new URL(folder, import.meta.url));
const address = JSON.stringify(pathToFileURL(packages.resolve("react")).href);
register(`data:text/javascript,${encodeURIComponent(
  `export const resolve = (name, context, next) => next(name === "react" ? ${address} : name, context);`,
)}`);
globalThis.IS_REACT_ACT_ENVIRONMENT = true;
console.error = (text, ...more) => {
  if (!String(text).includes("react-test-renderer is deprecated")) throw new Error(`React warns: ${text} ${more}`);
};
globalThis.requestAnimationFrame = (call) => setImmediate(call);
globalThis.cancelAnimationFrame = (frame) => clearImmediate(frame);

export const React = packages("react");
export const h = React.createElement;
export const hooks = await import("../../../relay/web/react/index.js");
export const suspense = await import("../../../relay/web/react/suspense.js");
const { act, create } = packages("react-test-renderer");
const { browser } = await import("../../../relay/web/client/host.js");

export const URL_OF_RELAY = "ws://relay.test/ws";

/**
 * A world with one relay, which shows each user the tasks that begin with their name: the token `alice:1` is alice's.
 * @param {string[]} taskIds
 */
export function given(...taskIds) {
  const relay = new FakeRelay(...taskIds);
  const world = relay.world;
  Object.assign(browser, relay.host);
  let tree;
  act(() => {
    tree = create(null);
  });
  return {
    relay,
    world,
    connect: (options) => connect({ url: URL_OF_RELAY, host: relay.host, ...options }),
    /** Renders an element, and lets everything happen that needs no time. */
    async render(element) {
      await act(async () => tree.update(element));
      await this.pass(1);
    },
    /** An event is added to a task, and what it changes is rendered. */
    async append(taskId, data = "x") {
      await act(() => relay.append(taskId, data));
      await this.pass();
    },
    /** Lets time pass, and with it the next frame. */
    async pass(ms = 200) {
      await act(async () => {
        await world.pass(ms);
        await new Promise((done) => setTimeout(done, 0));
        await settled();
      });
    },
    text: () => JSON.stringify(tree.toJSON()),
    async end() {
      await act(async () => tree.unmount());
    },
    act,
  };
}

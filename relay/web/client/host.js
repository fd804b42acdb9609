// @ts-check
// What the client needs from its environment: clock, timers, sockets, requests, events. Tests replace it.

/**
 * `on` calls back when the machine comes `online` or goes `offline`, when the page becomes `visible`, and when the
 * browser sets the page aside (`suspended`: it was left and may come back, or its tab is frozen) and continues it
 * (`resumed`). The function it returns ends that. Times are in ms, `now` since the epoch; `random` is in [0, 1).
 * @typedef {object} Host
 * @property {() => number} now
 * @property {() => number} random
 * @property {(call: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {(url: string | URL, protocols: string[]) => WebSocket} openSocket throws as `new WebSocket`
 * @property {(url: string | URL, init: RequestInit) => Promise<Response>} fetch
 * @property {(event: HostEvent, call: () => void) => () => void} on
 * @property {(call: () => void) => void} [nextFrame] calls back with the next frame; only the hooks for React use it
 */

/** @typedef {"online" | "offline" | "visible" | "suspended" | "resumed"} HostEvent */

/**
 * The host of a browser. Without a page, as in a worker or on a server, the events of a page do not occur.
 * @type {Host}
 */
export const browser = {
  now: () => Date.now(),
  random: () => Math.random(),
  setTimeout: (call, ms) => setTimeout(call, ms),
  clearTimeout: (timer) => clearTimeout(timer),
  openSocket: (url, protocols) => new WebSocket(url, protocols),
  fetch: (url, init) => fetch(url, init),
  on(event, call) {
    const page = globalThis.document;
    switch (event) {
      case "visible":
        return listen(page, "visibilitychange", () => page.visibilityState === "visible" && call());
      case "suspended":
        return both(listen(globalThis, "pagehide", call), listen(page, "freeze", call));
      case "resumed":
        return both(listen(globalThis, "pageshow", call), listen(page, "resume", call));
      default:
        return listen(globalThis, event, call);
    }
  },
};

/**
 * @param {EventTarget | undefined} target
 * @param {string} event
 * @param {() => void} call
 */
function listen(target, event, call) {
  target?.addEventListener?.(event, call);
  return () => target?.removeEventListener?.(event, call);
}

/**
 * @param {() => void} one
 * @param {() => void} other
 */
function both(one, other) {
  return () => {
    one();
    other();
  };
}

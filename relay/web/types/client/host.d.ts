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
export const browser: Host;
/**
 * `on` calls back when the machine comes `online` or goes `offline`, when the page becomes `visible`, and when the
 * browser sets the page aside (`suspended`: it was left and may come back, or its tab is frozen) and continues it
 * (`resumed`). The function it returns ends that. Times are in ms, `now` since the epoch; `random` is in [0, 1).
 */
export type Host = {
    now: () => number;
    random: () => number;
    setTimeout: (call: () => void, ms: number) => any;
    clearTimeout: (timer: any) => void;
    /**
     * throws as `new WebSocket`
     */
    openSocket: (url: string | URL, protocols: string[]) => WebSocket;
    fetch: (url: string | URL, init: RequestInit) => Promise<Response>;
    on: (event: HostEvent, call: () => void) => () => void;
    /**
     * calls back with the next frame; only the hooks for React use it
     */
    nextFrame?: ((call: () => void) => void) | undefined;
};
export type HostEvent = "online" | "offline" | "visible" | "suspended" | "resumed";

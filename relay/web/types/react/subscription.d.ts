/** @typedef {import("../client/index.js").Host} Host */
/** @typedef {import("../client/index.js").Relay} Relay */
/** @typedef {import("../client/index.js").Unsubscribe} Unsubscribe */
/**
 * A list or timeline of the client. It changes in place, so components get snapshots of it instead.
 * @typedef {{onChange: (listener: () => void) => Unsubscribe}} View
 */
/**
 * How a view is joined, read and left. `read` returns the snapshot from before if nothing changed.
 * @template {View} V
 * @template S
 * @typedef {object} Source
 * @property {S} loading
 * @property {(relay: Relay) => V} join
 * @property {(view: V, before: S) => S} read
 * @property {(relay: Relay) => void} leave
 */
export const LINGER_MS: 1000;
/**
 * @template {View} V
 * @template S
 */
export class Subscription<V extends View, S> {
    /**
     * @param {object} options
     * @param {Source<V, S>} options.source
     * @param {Host} options.host
     * @param {() => void} options.onChange requests a call of `update()`, now or later
     * @param {() => void} options.onEnd called when the last watcher is gone and the view was left
     */
    constructor({ source, host, onChange, onEnd }: {
        source: Source<V, S>;
        host: Host;
        onChange: () => void;
        onEnd: () => void;
    });
    /** What components read. It changes only when they are notified. */
    snapshot: S;
    /** @param {Relay} relay */
    join(relay: Relay): void;
    /** Leaves the view and shows nothing, without a notification. */
    forget(): void;
    leave(): void;
    /**
     * @param {() => void} watcher
     * @returns {Unsubscribe}
     */
    watch(watcher: () => void): Unsubscribe;
    /** Reads the view, and notifies the watchers if it changed. */
    update(): void;
    #private;
}
import type { Host } from "../client/index.js";
export type { Host };
import type { Relay } from "../client/index.js";
export type { Relay };
import type { Unsubscribe } from "../client/index.js";
export type { Unsubscribe };
/**
 * A list or timeline of the client. It changes in place, so components get snapshots of it instead.
 */
export type View = {
    onChange: (listener: () => void) => Unsubscribe;
};
/**
 * How a view is joined, read and left. `read` returns the snapshot from before if nothing changed.
 */
export type Source<V extends View, S> = {
    loading: S;
    join: (relay: Relay) => V;
    read: (view: V, before: S) => S;
    leave: (relay: Relay) => void;
};

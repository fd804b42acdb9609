/** @typedef {import("../client/index.js").Host} Host */
/** @typedef {import("../client/index.js").Relay} Relay */
/** @typedef {import("../client/index.js").Unsubscribe} Unsubscribe */
/**
 * What tells of its changes; components never see it, for it changes in place.
 * @typedef {{onChange: (listener: () => void) => Unsubscribe}} View
 */
/**
 * How something is joined, read and left. `read` gives what it gave before where nothing changed.
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
     * @param {() => void} options.onChange asks for an `update()`, now or later
     * @param {() => void} options.onEnd nobody watches any more, and it has been left
     */
    constructor({ source, host, onChange, onEnd }: {
        source: Source<V, S>;
        host: Host;
        onChange: () => void;
        onEnd: () => void;
    });
    /** What components show: the same until they are told. */
    snapshot: S;
    /** @param {Relay} relay */
    join(relay: Relay): void;
    leave(): void;
    /**
     * @param {() => void} watcher
     * @returns {Unsubscribe}
     */
    watch(watcher: () => void): Unsubscribe;
    /** Reads what there is now, and tells if it differs. */
    update(): void;
    #private;
}
export type Host = import("../client/index.js").Host;
export type Relay = import("../client/index.js").Relay;
export type Unsubscribe = import("../client/index.js").Unsubscribe;
/**
 * What tells of its changes; components never see it, for it changes in place.
 */
export type View = {
    onChange: (listener: () => void) => Unsubscribe;
};
/**
 * How something is joined, read and left. `read` gives what it gave before where nothing changed.
 */
export type Source<V extends View, S> = {
    loading: S;
    join: (relay: Relay) => V;
    read: (view: V, before: S) => S;
    leave: (relay: Relay) => void;
};

/** @typedef {import("../client/tokens.js").GetToken} GetToken */
/** @typedef {import("../client/tokens.js").MaybeToken} MaybeToken */
/** @typedef {import("../client/index.js").Host} Host */
/** @typedef {import("../client/index.js").ServerMessage} ServerMessage */
/** @typedef {import("../client/index.js").Status} Status */
/** @typedef {import("../client/index.js").TaskList} TaskList */
/** @typedef {import("../client/index.js").Timeline} Timeline */
/** @typedef {import("../client/index.js").Unsubscribe} Unsubscribe */
/** @typedef {import("./snapshots.js").DashboardSnapshot} DashboardSnapshot */
/** @typedef {import("./snapshots.js").TaskSnapshot} TaskSnapshot */
export class Store {
    /**
     * @param {object} [environment] parts to replace, as in tests
     * @param {Partial<Host>} [environment.host]
     * @param {(call: () => void) => void} [environment.frame] calls back with the next frame
     */
    constructor({ host, frame }?: {
        host?: Partial<import("../client/host.js").Host> | undefined;
        frame?: ((call: () => void) => void) | undefined;
    });
    /** The connection as components read it. */
    connection: Readonly<import("../client/connection.js").Status & {
        since?: number;
    }>;
    /** What the user has of the claims that tasks wait for. It changes with a notification of the connection. */
    me: import("../client/transports/transport.js").Claims;
    /**
     * A token, none, or a function that returns one.
     *
     * Another token is used at once. If it names another user, or if its user cannot be read, the store connects again
     * and drops everything of the first user; so it does without a token, because nobody is signed in then. Another
     * function is called from now on, and at once if the connection waits for a token.
     * @param {MaybeToken | GetToken} token
     */
    set token(token: MaybeToken | GetToken);
    /**
     * Connects, or stays connected, until one second after the returned function is called. For another address, it
     * connects there and joins everything that is watched.
     * @param {string} url
     * @returns {() => void}
     */
    open(url: string): () => void;
    /** Connects now instead of waiting, also after a refusal. */
    retry: () => void | undefined;
    /**
     * Calls back for every message. It may be called before there is a connection.
     * @param {(message: ServerMessage) => void} listener
     * @returns {Unsubscribe}
     */
    onMessage: (listener: (message: ServerMessage) => void) => Unsubscribe;
    /**
     * @param {() => void} watcher
     * @returns {Unsubscribe}
     */
    watchConnection: (watcher: () => void) => Unsubscribe;
    get dashboard(): import("./snapshots.js").DashboardSnapshot;
    /**
     * @param {() => void} watcher
     * @param {number} [limit] the first watcher decides
     * @returns {Unsubscribe}
     */
    watchDashboard(watcher: () => void, limit?: number): Unsubscribe;
    /** @param {string} taskId */
    task(taskId: string): import("./snapshots.js").TaskSnapshot<import("../client/messages.js").AnyEvents>;
    /**
     * @param {string} taskId
     * @param {() => void} watcher
     * @returns {Unsubscribe}
     */
    watchTask(taskId: string, watcher: () => void): Unsubscribe;
    #private;
}
export type GetToken = import("../client/tokens.js").GetToken;
export type MaybeToken = import("../client/tokens.js").MaybeToken;
export type Host = import("../client/index.js").Host;
export type ServerMessage = import("../client/index.js").ServerMessage;
export type Status = import("../client/index.js").Status;
export type TaskList = import("../client/index.js").TaskList;
export type Timeline = import("../client/index.js").Timeline;
export type Unsubscribe = import("../client/index.js").Unsubscribe;
export type DashboardSnapshot = import("./snapshots.js").DashboardSnapshot;
export type TaskSnapshot = import("./snapshots.js").TaskSnapshot;

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
     * @param {object} [surroundings] parts to replace, as in tests
     * @param {Partial<Host>} [surroundings.host]
     * @param {(call: () => void) => void} [surroundings.frame] calls with the next frame
     */
    constructor({ host, frame }?: {
        host?: Partial<import("../client/host.js").Host> | undefined;
        frame?: ((call: () => void) => void) | undefined;
    });
    /** How the connection is. */
    connection: Readonly<import("../client/connection.js").Status & {
        since?: number;
    }>;
    /**
     * A token, none, or a function that is asked for one. Another text counts at once; one of another user, or
     * of one that it does not name readably, connects again and drops everything of the first user. So does none:
     * nobody is signed in. Another function is asked from now on, and at once where a token is waited for.
     * @param {MaybeToken | GetToken} token
     */
    set token(token: MaybeToken | GetToken);
    /**
     * Connects, or stays connected, until a while after the function it returns is called. Another
     * address connects anew, and what is watched is joined there.
     * @param {string} url
     * @returns {() => void}
     */
    open(url: string): () => void;
    /** Connects at once instead of waiting, after a refusal too. */
    retry: () => void | undefined;
    /**
     * Every message, also before there is a connection.
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
     * @param {number} [limit] the first one's counts
     * @returns {Unsubscribe}
     */
    watchDashboard(watcher: () => void, limit?: number): Unsubscribe;
    /** @param {string} taskId */
    task(taskId: string): import("./snapshots.js").TaskSnapshot;
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

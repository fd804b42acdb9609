/** @typedef {string | number | null | undefined} User undefined where the page does not say; null: nobody */
export class Store {
    /**
     * @param {object} [environment] parts to replace, as in tests
     * @param {Partial<Host>} [environment.host]
     * @param {(call: () => void) => void} [environment.frame] calls back with the next frame
     * @param {User} [environment.user] who the page says its user is; then tokens that cannot be read are that user's
     * @param {Retries} [environment.retries] of the store that this one replaces
     */
    constructor({ host, frame, user, retries }?: {
        host?: Partial<import("../client/host.js").Host> | undefined;
        frame?: ((call: () => void) => void) | undefined;
        user?: User;
        retries?: Retries | undefined;
    });
    /** The connection as components read it. */
    connection: Readonly<import("../client/connection.js").Status & {
        since?: number;
    }>;
    /** What the user has of the claims that tasks wait for. It changes with a notification of the connection. */
    me: import("../client/transports/transport.js").Claims;
    /** Of this store, and of the one that replaces it. */
    retries: Retries;
    /** The connection; null while there is none. */
    get relay(): Relay<import("../client/application-types.js").ApplicationTypes> | null;
    /**
     * Whether what is shown may belong to another user than this token.
     * @param {MaybeToken} token
     */
    isOfAnother(token: MaybeToken): boolean;
    /**
     * A token, none, or a function that returns one.
     *
     * Another token is used at once. If it names another user, or if its user cannot be read, the store connects again
     * and drops everything of the first user; so it does without a token, because nobody is signed in then. Another
     * function is called from now on, and at once if the connection waits for a token.
     * @param {MaybeToken | GetToken} token
     */
    set token(token: MaybeToken | GetToken);
    get token(): MaybeToken | GetToken;
    /**
     * Connects, or stays connected, until one second after the returned function is called. For another address, it
     * connects there and joins everything that is watched.
     * @param {string} url
     * @returns {() => void}
     */
    open(url: string): () => void;
    /**
     * Uses a connection of the application, which is not closed here, until one second after the returned function is
     * called.
     * @param {Relay} relay
     * @returns {() => void}
     */
    use(relay: Relay): () => void;
    /**
     * Another store has replaced this one, as for another user: drops everything at once, and notifies nobody, because
     * every component reads the other store already.
     */
    end(): void;
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
    /**
     * Resolves when the list is no longer `loading`. It is joined for that, and left unless somebody watches it then.
     * @param {number} [limit] the first watcher decides
     */
    whenDashboardLoaded(limit?: number): Promise<void>;
    /**
     * As `whenDashboardLoaded`, for a task.
     * @param {string} taskId
     */
    whenTaskLoaded(taskId: string): Promise<void>;
    #private;
}
import type { GetToken } from "../client/tokens.js";
export type { GetToken };
import type { MaybeToken } from "../client/tokens.js";
export type { MaybeToken };
import type { Host } from "../client/index.js";
export type { Host };
import type { ServerMessage } from "../client/index.js";
export type { ServerMessage };
import type { Status } from "../client/index.js";
export type { Status };
import type { TaskList } from "../client/index.js";
export type { TaskList };
import type { Timeline } from "../client/index.js";
export type { Timeline };
import type { Unsubscribe } from "../client/index.js";
export type { Unsubscribe };
import type { DashboardSnapshot } from "./snapshots.js";
export type { DashboardSnapshot };
import type { TaskSnapshot } from "./snapshots.js";
export type { TaskSnapshot };
/**
 * undefined where the page does not say; null: nobody
 */
export type User = string | number | null | undefined;
import { Retries } from "../client/retries.js";
import { Relay } from "../client/index.js";

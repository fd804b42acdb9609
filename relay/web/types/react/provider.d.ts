/**
 * Provides one connection to the components below it. It connects in an effect, so it may be rendered on a server.
 * Throws a TypeError if it has neither an address nor a connection, as where a variable of the environment is not set.
 * @param {RelayProviderProps} props
 * @returns {import("react").ReactElement}
 */
export function RelayProvider({ url, token: given, relay, user, onStatus, onError, host, children }: RelayProviderProps): import("react").ReactElement;
/** @returns {Store} */
export function useStore(): Store;
export type AnyRelay = import("../client/index.js").Relay<any>;
import type { GetToken } from "../client/tokens.js";
export type { GetToken };
import type { MaybeToken } from "../client/tokens.js";
export type { MaybeToken };
import type { Connection } from "./snapshots.js";
export type { Connection };
import type { User } from "./store.js";
export type { User };
export type ConnectionProps = {
    /**
     * as for `connect`. Another address closes the connection and opens a new one.
     */
    url: string | URL;
    /**
     * one of:
     * - a function as for `connect`. It may be another function at each render: the last one is called, and at once if
     * the connection waits for a token. If calling it makes the page render again, and the page cannot read the `sub`
     * of its tokens, give a `user`, or wrap it in `useCallback`: an answer of a replaced function is used only if its
     * user can be checked.
     * - a token. Another token is used at once. If it names another user, or if its user cannot be read and there is no
     * `user`, everything of the first user is dropped.
     * - null or undefined while nobody is signed in: the connection is closed, and lists and tasks are cleared.
     */
    token: MaybeToken | GetToken;
    relay?: undefined;
};
export type OwnRelayProps = {
    /**
     * a connection that the application has made with `connect`, and closes. It is that of one
     * user: while `user` names another one, nothing is shown.
     */
    relay: AnyRelay;
    url?: undefined;
    token?: undefined;
};
export type UserProps = {
    /**
     * who is signed in: any id of the application, or null for nobody. When it changes, everything
     * starts again, and nothing of the user before is shown, not even once.
     */
    user?: User;
    /**
     * called for every change of the connection
     */
    onStatus?: ((connection: Connection) => void) | undefined;
    /**
     * called for every
     * error with which the relay answers a request, as for a task that the user may not see
     */
    onError?: ((error: import("../client/index.js").MessageData<"error">) => void) | undefined;
    /**
     * parts of the environment to replace, as in tests
     */
    host?: Partial<import("../client/host.js").Host> | undefined;
    children?: import("react").ReactNode;
};
export type RelayProviderProps = (ConnectionProps | OwnRelayProps) & UserProps;
import { Store } from "./store.js";

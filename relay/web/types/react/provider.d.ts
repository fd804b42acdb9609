/**
 * Provides one connection to the components below it. It connects in an effect, so it may be rendered on a server.
 * @param {RelayProviderProps} props
 * @returns {import("react").ReactElement}
 */
export function RelayProvider({ url, token, children }: RelayProviderProps): import("react").ReactElement;
/** @returns {Store} */
export function useStore(): Store;
export type GetToken = import("../client/tokens.js").GetToken;
export type MaybeToken = import("../client/tokens.js").MaybeToken;
export type RelayProviderProps = {
    /**
     * as for `connect`. Another address closes the connection and opens a new one.
     */
    url: string | URL;
    /**
     * one of:
     * - a function as for `connect`. It may be another function at each render: the last one is called, and at once if
     * the connection waits for a token. If calling it makes the page render again, and the page cannot read the `sub`
     * of its tokens, wrap it in `useCallback`: an answer of a replaced function is used only if its user can be
     * checked. For another user, give the provider another `key`.
     * - a token. Another token is used at once. If it names another user, or if its user cannot be read, everything of
     * the first user is dropped.
     * - null or undefined while nobody is signed in: the connection is closed, and lists and tasks are cleared.
     */
    token: MaybeToken | GetToken;
    children?: import("react").ReactNode;
};
import { Store } from "./store.js";

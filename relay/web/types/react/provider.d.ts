/**
 * Connects nothing while it renders, so it may render on a server.
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
     * as for `connect`; another one connects anew
     */
    url: string | URL;
    /**
     *   a function as for `connect`, which may be another one at each render: the last one is asked, and
     *   at once where there is no connection for want of a token. Or a token itself: another one counts at
     *   once, and of one of another user, or of nobody knows whom, nothing of the first one's stays. Or none:
     *   nobody is signed in, the connection is closed and what was shown is cleared. With a function give the
     *   provider another `key` for another user.
     */
    token: MaybeToken | GetToken;
    children?: import("react").ReactNode;
};
import { Store } from "./store.js";

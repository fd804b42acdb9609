// @ts-check
// The connection of a tree of components: opened when the tree is there, closed after it is gone.

import { createContext, createElement, useContext, useEffect, useState } from "react";
import { Store } from "./store.js";

/** @typedef {import("../client/tokens.js").GetToken} GetToken */
/** @typedef {import("../client/tokens.js").MaybeToken} MaybeToken */

/**
 * @typedef {object} RelayProviderProps
 * @property {string | URL} url as for `connect`; another one connects anew
 * @property {MaybeToken | GetToken} token
 *   a function as for `connect`, which may be another one at each render: the last one is asked, and
 *   at once where there is no connection for want of a token. Or a token itself: another one counts at
 *   once, and of one of another user, or of nobody knows whom, nothing of the first one's stays. Or none:
 *   nobody is signed in, the connection is closed and what was shown is cleared. With a function give the
 *   provider another `key` for another user.
 * @property {import("react").ReactNode} [children]
 */

const StoreContext = createContext(/** @type {Store | null} */ (null));

/**
 * Connects nothing while it renders, so it may render on a server.
 * @param {RelayProviderProps} props
 * @returns {import("react").ReactElement}
 */
export function RelayProvider({ url, token, children }) {
  const [store] = useState(() => new Store());
  const address = String(url);
  useEffect(() => {
    store.token = token;
  }, [store, token]);
  useEffect(() => store.open(address), [store, address]);
  return createElement(StoreContext.Provider, { value: store }, children);
}

/** @returns {Store} */
export function useStore() {
  const store = useContext(StoreContext);
  if (store === null) throw new Error("There is no RelayProvider above this component.");
  return store;
}

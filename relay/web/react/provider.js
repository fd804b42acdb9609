// @ts-check
// The provider: opens a connection when it is mounted, and closes it after it was unmounted.

import { createContext, createElement, useContext, useEffect, useState } from "react";
import { Store } from "./store.js";

/** @typedef {import("../client/tokens.js").GetToken} GetToken */
/** @typedef {import("../client/tokens.js").MaybeToken} MaybeToken */

/**
 * @typedef {object} RelayProviderProps
 * @property {string | URL} url as for `connect`. Another address closes the connection and opens a new one.
 * @property {MaybeToken | GetToken} token one of:
 *   - a function as for `connect`. It may be another function at each render: the last one is called, and at once if
 *     the connection waits for a token. If calling it makes the page render again, and the page cannot read the `sub`
 *     of its tokens, wrap it in `useCallback`: an answer of a replaced function is used only if its user can be
 *     checked. For another user, give the provider another `key`.
 *   - a token. Another token is used at once. If it names another user, or if its user cannot be read, everything of
 *     the first user is dropped.
 *   - null or undefined while nobody is signed in: the connection is closed, and lists and tasks are cleared.
 * @property {import("react").ReactNode} [children]
 */

const StoreContext = createContext(/** @type {Store | null} */ (null));

/**
 * Provides one connection to the components below it. It connects in an effect, so it may be rendered on a server.
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

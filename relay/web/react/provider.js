// @ts-check
// The provider: opens a connection when it is mounted, and closes it after it was unmounted.
//
// Rules of this file:
// - What is rendered for one user never reads the store of another: a change of user is noticed while rendering.

import { createContext, createElement, useContext, useEffect, useInsertionEffect, useRef, useState } from "react";
import { Store } from "./store.js";

/** @typedef {import("../client/index.js").Relay<any>} AnyRelay */
/** @typedef {import("../client/tokens.js").GetToken} GetToken */
/** @typedef {import("../client/tokens.js").MaybeToken} MaybeToken */
/** @typedef {import("./snapshots.js").Connection} Connection */
/** @typedef {import("./store.js").User} User */

/**
 * @typedef {object} ConnectionProps
 * @property {string | URL} url as for `connect`. Another address closes the connection and opens a new one.
 * @property {MaybeToken | GetToken} token one of:
 *   - a function as for `connect`. It may be another function at each render: the last one is called, and at once if
 *     the connection waits for a token. If calling it makes the page render again, and the page cannot read the `sub`
 *     of its tokens, give a `user`, or wrap it in `useCallback`: an answer of a replaced function is used only if its
 *     user can be checked.
 *   - a token. Another token is used at once. If it names another user, or if its user cannot be read and there is no
 *     `user`, everything of the first user is dropped.
 *   - null or undefined while nobody is signed in: the connection is closed, and lists and tasks are cleared.
 * @property {undefined} [relay]
 */

/**
 * @typedef {object} OwnRelayProps
 * @property {AnyRelay} relay a connection that the application has made with `connect`, and closes. It is that of one
 *   user: while `user` names another one, nothing is shown.
 * @property {undefined} [url]
 * @property {undefined} [token]
 */

/**
 * @typedef {object} UserProps
 * @property {User} [user] who is signed in: any id of the application, or null for nobody. When it changes, everything
 *   starts again, and nothing of the user before is shown, not even once.
 * @property {((connection: Connection) => void) | undefined} [onStatus] called for every change of the connection
 * @property {((error: import("../client/index.js").MessageData<"error">) => void) | undefined} [onError] called for every
 *   error with which the relay answers a request, as for a task that the user may not see
 * @property {Partial<import("../client/host.js").Host>} [host] parts of the environment to replace, as in tests
 * @property {import("react").ReactNode} [children]
 */

/** @typedef {(ConnectionProps | OwnRelayProps) & UserProps} RelayProviderProps */

const StoreContext = createContext(/** @type {Store | null} */ (null));
/** @type {WeakMap<AnyRelay, User>} Whose the connections of applications are. */
const userOf = new WeakMap();

/**
 * Provides one connection to the components below it. It connects in an effect, so it may be rendered on a server.
 * Throws a TypeError if it has neither an address nor a connection, as where a variable of the environment is not set.
 * @param {RelayProviderProps} props
 * @returns {import("react").ReactElement}
 */
export function RelayProvider({ url, token: given, relay, user, onStatus, onError, host, children }) {
  if (relay === null || (relay === undefined && (url === undefined || url === null))) {
    throw new TypeError("RelayProvider needs the properties `url` and `token`, or `relay`.");
  }
  const token = user === null ? null : given;
  const [held, hold] = useState(() => ({ user, relay, store: new Store({ host, user }) }));
  let { store } = held;
  const isAnother = !Object.is(held.user, user) || held.relay !== relay
    || (relay === undefined && typeof token !== "function" && token !== store.token && store.isOfAnother(token));
  if (isAnother) {
    store = new Store({ host, user, retries: store.retries });
    hold({ user, relay, store }); // React renders this component again before its children
  }
  useReplaced(store);
  useListeners(store, onStatus, onError);
  useEffect(() => {
    if (relay === undefined) store.token = token;
  }, [store, relay, token]);
  const address = String(url);
  useEffect(() => {
    if (relay === undefined) return store.open(address);
    return isOf(relay, user) ? store.use(relay) : undefined;
  }, [store, address, relay, user]);
  return createElement(StoreContext.Provider, { value: store }, children);
}

/** @returns {Store} */
export function useStore() {
  const store = useContext(StoreContext);
  if (store === null) throw new Error("There is no RelayProvider above this component.");
  return store;
}

/**
 * Ends the store that this one replaces, as soon as the components read this one.
 * @param {Store} store
 */
function useReplaced(store) {
  const last = useRef(store);
  useInsertionEffect(() => {
    if (last.current !== store) last.current.end();
    last.current = store;
  }, [store]);
}

/**
 * @param {Store} store
 * @param {UserProps["onStatus"]} onStatus
 * @param {UserProps["onError"]} onError
 */
function useListeners(store, onStatus, onError) {
  const latest = useRef({ onStatus, onError });
  useInsertionEffect(() => {
    latest.current = { onStatus, onError };
  });
  useEffect(() => {
    let seen = store.connection;
    const unlisten = [
      store.watchConnection(() => {
        if (store.connection === seen) return;
        seen = store.connection;
        latest.current.onStatus?.(seen);
      }),
      store.onMessage((message) => {
        if (message.type === "error") latest.current.onError?.(message.data);
      }),
    ];
    return () => unlisten.forEach((end) => end());
  }, [store]);
}

/**
 * Whether a connection of the application may be shown to this user. The first user that is named with it has it.
 * @param {AnyRelay} relay
 * @param {User} user
 */
function isOf(relay, user) {
  if (user === null) return false;
  if (user === undefined) return true;
  if (!userOf.has(relay)) userOf.set(relay, user);
  return userOf.get(relay) === user;
}

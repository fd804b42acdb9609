// @ts-check
// The sign-in of this tab: its token, and fresh tokens that arrive in any tab of the same user.

import { isSameUser } from "../client/index.js";

const KEY = "relay.token";
const FRAGMENT = "#token=";

const otherTabs = new BroadcastChannel("relay.token");

/**
 * Takes a token out of the address, if there is one, and passes it on to the user's other tabs.
 * @returns {"" | "renewed" | "signed in"} "renewed" for a token of the same user as before; "" without a token
 */
export function signIn() {
  if (!location.hash.startsWith(FRAGMENT)) return "";
  const fresh = location.hash.slice(FRAGMENT.length);
  const renewed = isSameUser(token(), fresh);
  sessionStorage.setItem(KEY, fresh);
  otherTabs.postMessage(fresh);
  history.replaceState(null, "", location.pathname + location.search);
  return renewed ? "renewed" : "signed in";
}

/**
 * Calls back when another tab passes on a fresh token of the same user.
 * @param {() => void} listener
 */
export function onRenewal(listener) {
  otherTabs.addEventListener("message", ({ data }) => {
    if (!isSameUser(token(), data)) return;
    sessionStorage.setItem(KEY, data);
    listener();
  });
}

/** The token; "" while nobody is signed in. */
export function token() {
  return sessionStorage.getItem(KEY) ?? "";
}

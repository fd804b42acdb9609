// @ts-check
// Who is signed in: the token of this tab, renewed by whichever tab gets a fresh one.

import { isSameUser } from "/client/index.js";

const KEY = "relay.token";
const FRAGMENT = "#token=";

const otherTabs = new BroadcastChannel("relay.token");

/**
 * Takes a token out of the address bar, if there is one, and hands it to the user's other tabs.
 * @returns {"" | "renewed" | "signed in"} whether there was one, and of the same user as before
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

/** @param {() => void} listener a fresh token of the same user came by another tab */
export function onRenewal(listener) {
  otherTabs.addEventListener("message", ({ data }) => {
    if (!isSameUser(token(), data)) return;
    sessionStorage.setItem(KEY, data);
    listener();
  });
}

/** The token, "" when nobody is signed in. */
export function token() {
  return sessionStorage.getItem(KEY) ?? "";
}

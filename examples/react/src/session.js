// The sign-in of this tab: a token from the address, after "#token=".
// In your application, request a token from your own backend instead.

const KEY = "relay.token";
const FRAGMENT = "#token=";
const listeners = new Set();
let visits = 0;

/** Takes the token out of the address, so that nobody copies it with the address. */
export function signIn() {
  if (!location.hash.startsWith(FRAGMENT)) return;
  sessionStorage.setItem(KEY, location.hash.slice(FRAGMENT.length));
  history.replaceState(null, "", location.pathname + location.search);
  visits += 1;
  for (const listener of listeners) listener();
}

/** The token function: the client calls it for every connection, and before a token expires. */
export function token() {
  return sessionStorage.getItem(KEY) ?? "";
}

export function visit() {
  return visits;
}

export function onSignIn(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

addEventListener("hashchange", signIn);

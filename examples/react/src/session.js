// Who is signed in: a token that came in the address, after "#token=", kept for this tab.
// In your application this is a request for a token to your own backend.

const KEY = "relay.token";
const FRAGMENT = "#token=";
const listeners = new Set();
let visits = 0;

/** Takes the token out of the address, so that it is not copied with it. */
export function signIn() {
  if (!location.hash.startsWith(FRAGMENT)) return;
  sessionStorage.setItem(KEY, location.hash.slice(FRAGMENT.length));
  history.replaceState(null, "", location.pathname + location.search);
  visits += 1;
  for (const listener of listeners) listener();
}

/** Asked by the relay's client for every connection, and before a token ends. */
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

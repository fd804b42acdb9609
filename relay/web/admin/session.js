// @ts-check
// The sign-in of this tab: the token of an operator.

// Not the dashboard's: behind one proxy, both pages may have the same origin.
const KEY = "relay.admin.token";
const FRAGMENT = "#token=";

/** Takes a token out of the address, if there is one. Returns whether there was one. */
export function signInFromAddress() {
  if (!location.hash.startsWith(FRAGMENT)) return false;
  signIn(location.hash.slice(FRAGMENT.length));
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

/** @param {string} token */
export function signIn(token) {
  sessionStorage.setItem(KEY, token.trim());
}

export function signOut() {
  sessionStorage.removeItem(KEY);
}

/** The token; "" while nobody is signed in. */
export function token() {
  return sessionStorage.getItem(KEY) ?? "";
}

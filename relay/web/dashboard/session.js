// @ts-check
// Who is signed in: the token of this tab.

const KEY = "relay.token";
const FRAGMENT = "#token=";

/**
 * Takes a token out of the address bar, if there is one.
 * @returns {boolean} whether someone signed in just now
 */
export function signIn() {
  if (!location.hash.startsWith(FRAGMENT)) return false;
  sessionStorage.setItem(KEY, location.hash.slice(FRAGMENT.length));
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

/** The token, "" when nobody is signed in. */
export function token() {
  return sessionStorage.getItem(KEY) ?? "";
}

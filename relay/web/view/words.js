// @ts-check
// What a connection's states and reasons mean to a person. Pure.

/** @typedef {import("./snapshots.js").Connection} Connection */

/** @type {ReadonlyMap<string, string>} The reasons of PROTOCOL.md section 7 and of the client. */
const REASONS = new Map([
  ["at_capacity", "the relay is full"],
  ["auth_timeout", "signing in took too long"],
  ["bad_token", "this sign-in cannot be used"],
  ["feature_disabled", "live updates are not switched on for you"],
  ["keys_unavailable", "the relay cannot check sign-ins at the moment"],
  ["mixed_content", "this page is secure and the relay's address is not"],
  ["network", "the relay cannot be reached"],
  ["no_token", "nobody is signed in"],
  ["no_websocket", "there is no WebSocket here"],
  ["origin_not_allowed", "the relay does not know this page's origin"],
  ["rate_limited", "there were too many requests"],
  ["restart", "the relay is restarting"],
  ["silent", "the relay has gone silent"],
  ["stalled", "this page was too slow for the relay"],
  ["token_expired", "the sign-in has ended"],
  ["token_unavailable", "no sign-in could be had"],
  ["unauthenticated", "the sign-in is not accepted"],
  ["unavailable", "the relay is busy"],
]);

/** @type {ReadonlyMap<string, string>} What has to happen first, where it does not come back just by itself. */
const REMEDIES = new Map([
  ["bad_token", "a new sign-in"],
  ["mixed_content", "a secure address of the relay"],
  ["no_token", "a sign-in"],
  ["origin_not_allowed", "the relay to allow it"],
  ["token_expired", "a new sign-in"],
  ["unauthenticated", "a new sign-in"],
]);

/** @param {Connection} connection */
export function stateWord({ state, reason }) {
  switch (state) {
    case "connecting":
      return reason === undefined ? "Connecting" : "Reconnecting";
    case "live":
      return "Live";
    case "polling":
      return "Live, by polling";
    case "stale":
      return "Behind";
    case "offline":
      return "Offline";
    case "refused":
      return "Not connected";
  }
}

/** @param {Connection} connection "" where there is none */
export function reasonWords({ state, reason }) {
  if (state === "stale") return "the relay is behind the database";
  if (reason === undefined) return "";
  return REASONS.get(reason.split(":")[0]) ?? reason;
}

/**
 * Since when what is shown may be old, why, and what happens next.
 * @param {Connection} connection
 * @param {boolean} networkOnline
 */
export function bannerWords(connection, networkOnline) {
  const since = new Date(connection.since ?? Date.now());
  const time = since.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const reason = reasonWords(connection);
  return `Not live since ${time}${reason && `: ${reason}`}. ${whatNext(connection, networkOnline)}`;
}

/**
 * @param {Connection} connection
 * @param {boolean} networkOnline
 */
function whatNext({ state, reason = "" }, networkOnline) {
  if (state === "stale") return "It catches up by itself.";
  if (state === "refused") return "It does not try again by itself.";
  const remedy = REMEDIES.get(reason);
  if (remedy !== undefined) return `It waits for ${remedy}.`;
  return networkOnline ? "It reconnects by itself." : "This device has no network; it reconnects when there is one.";
}

/** @param {number} seconds */
export function countdownWords(seconds) {
  return seconds > 0 ? `Next try in ${seconds} s` : "Trying again now";
}

// @ts-check
// The words for the states of a connection, and for their reasons. Pure.
//
// Rules of this file: one state has one word, and one reason has one text, in every page; the texts name no setting
// and no page, so any application can show them.

/** @typedef {import("../client/connection.js").Status} Status */

/** @type {ReadonlyMap<string, string>} The reasons of PROTOCOL.md section 7 and of the client. */
const REASONS = new Map([
  ["at_capacity", "the relay is full"],
  ["auth_timeout", "signing in took too long"],
  ["bad_token", "this sign-in cannot be used"],
  ["blocked", "something in between lets no WebSocket through"],
  ["disconnected", "an administrator disconnected you"],
  ["feature_disabled", "live updates are not switched on for you"],
  ["keys_unavailable", "the relay cannot check sign-ins at the moment"],
  ["mixed_content", "this page is secure and the relay's address is not"],
  ["network", "the relay cannot be reached"],
  ["no_token", "nobody is signed in"],
  ["no_websocket", "there is no WebSocket here"],
  ["not_found", "there is no relay at this address"],
  ["origin_not_allowed", "the relay does not know this page's origin"],
  ["rate_limited", "there were too many requests"],
  ["restart", "the relay is restarting"],
  ["silent", "the relay has gone silent"],
  ["stalled", "this page was too slow for the relay"],
  ["token_expired", "the sign-in has ended"],
  ["token_unavailable", "no sign-in could be had"],
  ["unauthenticated", "the sign-in is not accepted"],
  ["unavailable", "the relay is busy"],
  ["unreadable", "what came cannot be read"],
]);

/** @type {ReadonlyMap<string, string>} What has to happen before a next try can succeed. */
const REMEDIES = new Map([
  ["bad_token", "a new sign-in"],
  ["disconnected", "a new sign-in"],
  ["mixed_content", "a secure address of the relay"],
  ["no_token", "a sign-in"],
  ["not_found", "a relay at this address"],
  ["origin_not_allowed", "the relay to allow it"],
  ["token_expired", "a new sign-in"],
  ["unauthenticated", "a new sign-in"],
]);

const SIGNED_OUT = new Set(["no_token", "bad_token", "unauthenticated", "token_expired"]);

/**
 * Whether the connection waits until the user signs in.
 * @param {Status} status
 */
export function isSignedOut({ state, reason = "" }) {
  return state === "offline" && SIGNED_OUT.has(reason);
}

/**
 * Whether an operator has disconnected the user: the connection waits for another token, or until the user reconnects.
 * @param {Status} status
 */
export function isDisconnected({ state, reason }) {
  return state === "offline" && reason === "disconnected";
}

/**
 * A name for what a page says of the connection: its state, divided where people need other words.
 * @typedef {import("../client/connection.js").State | "reconnecting" | "disconnected" | "signed-out" | "switched-off"}
 *   StateName
 */

/** @type {Readonly<Record<StateName, string>>} */
const STATE_WORDS = {
  connecting: "Connecting",
  reconnecting: "Reconnecting",
  live: "Live",
  polling: "Polling",
  stale: "Stale",
  offline: "Offline",
  disconnected: "Disconnected",
  "signed-out": "Signed out",
  "switched-off": "Switched off",
  refused: "Refused",
};

/**
 * The name of the state, for pages that have words of their own.
 * @param {Status} status
 * @returns {StateName}
 */
export function stateName(status) {
  const { state, reason } = status;
  if (state === "connecting" && reason !== undefined) return "reconnecting";
  if (state === "refused" && reason === "feature_disabled") return "switched-off";
  if (isDisconnected(status)) return "disconnected";
  return isSignedOut(status) ? "signed-out" : state;
}

/**
 * The state in a word or two, as for a chip.
 * @param {Status} status
 */
export function stateWord(status) {
  return STATE_WORDS[stateName(status)];
}

/**
 * Why the connection is in its state, as part of a sentence.
 * @param {Status} status
 * @returns {string} "" where there is nothing to explain; a reason that is not known here is its own text
 */
export function reasonWords({ state, reason }) {
  if (state === "stale") return "the relay is behind the database";
  if (reason === undefined) return "";
  return REASONS.get(reason.split(":")[0]) ?? reason;
}

/**
 * What happens next while the connection is not current, as a sentence.
 * @param {Status} status
 * @param {boolean} networkOnline what the browser says of this machine's network
 */
export function whatNext({ state, reason = "" }, networkOnline) {
  if (state === "stale") return "It catches up by itself.";
  if (state === "refused") return "It does not try again by itself.";
  const remedy = REMEDIES.get(reason);
  if (remedy !== undefined) return `It waits for ${remedy}.`;
  return networkOnline ? "It reconnects by itself." : "This device has no network; it reconnects when there is one.";
}

/**
 * Since when what is shown may be out of date, why, and what happens next.
 * @param {Status & {since?: number}} connection `since` in ms since the epoch
 * @param {boolean} networkOnline
 */
export function bannerWords(connection, networkOnline) {
  const since = new Date(connection.since ?? Date.now());
  const time = since.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const reason = reasonWords(connection);
  return `Not live since ${time}${reason && `: ${reason}`}. ${whatNext(connection, networkOnline)}`;
}

/** @param {number} seconds until the next try */
export function countdownWords(seconds) {
  return seconds > 0 ? `Next try in ${seconds} s` : "Trying again now";
}

/**
 * A reason as a sentence of its own.
 * @param {string} words
 */
export function sentence(words) {
  return words === "" ? "" : `${words[0].toUpperCase()}${words.slice(1)}.`;
}

// @ts-check
// Constants of the wire, and what a close code asks of a client. Pure.
// PROTOCOL.md is the contract. The types of messages are in messages.js, those of requests in requests.js and polls.js;
// all three are generated.

/** @typedef {{enabled: boolean, websocketUrl: string, pollUrl: string, protocol: number}} Config */

/**
 * What to do after a close: try again (after a time the server named, if it named one), try again
 * with a fresh token, rest until there is another token, or give up.
 * @typedef {{then: "reconnect", afterMs?: number} | {then: "refresh"} | {then: "other_token"} | {then: "give_up"}} Verdict
 */

export const SUBPROTOCOL = "relay.v1";
export const BEARER_PREFIX = "bearer.";
export const MAX_BATCH = 100; // tasks in one task:join
export const DASHBOARD_LIMIT_DEFAULT = 500; // tasks of a list whose join names no limit
export const DASHBOARD_LIMIT_MAX = 5000;
export const MAX_MESSAGE_BYTES_DEFAULT = 65_536; // of a frame or a poll, until the relay names another limit

const UNAUTHENTICATED = 4401;
export const DISCONNECTED = 4403;
export const RATE_LIMITED = 4429;
const FIRST_FINAL = 4500; // from here on the range says: do not come back
// Our own frames broke a rule: the same frames would break it again.
const SENDER_AT_FAULT = new Set([1003, 1007, 1008, 1009]);

/**
 * PROTOCOL.md section 7.
 * @param {number} code
 * @param {string} reason
 * @returns {Verdict}
 */
export function verdict(code, reason) {
  if (code === UNAUTHENTICATED) return { then: "refresh" };
  if (code === DISCONNECTED) return { then: "other_token" };
  if (code >= FIRST_FINAL || SENDER_AT_FAULT.has(code)) return { then: "give_up" };
  if (code !== RATE_LIMITED) return { then: "reconnect" };
  const afterMs = Number(reason.split(":")[1]);
  return Number.isFinite(afterMs) ? { then: "reconnect", afterMs } : { then: "reconnect" };
}

// @ts-check
// Asks the relay, on the address this page came from, and says in a sentence why there is no answer.

import { token } from "./session.js";

const ANSWER_WITHIN_MS = 10_000;
const LACKS_CLAIM = "This token is valid, but it lacks the claim that RELAY_ADMIN_CLAIM asks for.";
// Printable ASCII without spaces: a header can hold nothing else of a token.
const PRINTABLE = /^[!-~]+$/;

/**
 * What the relay answers. `user` is null while a connection has not brought its token; `unanswered` names the workers
 * that did not answer, so that their share is missing.
 * @typedef {{id: string, user: string | null, transport: string, address: string, path: string, since: string,
 *   list: boolean, tasks: number, lagging: boolean, outboxBytes: number, messagesIn: number, messagesOut: number,
 *   worker?: number}} Connection
 * @typedef {{connections: Connection[], total: number, unanswered?: unknown[]}} Connections
 * @typedef {{connection: string, user: string, state: string, transport: string}} TaskListener
 * @typedef {{taskId: string, listeners: TaskListener[], total: number, unanswered?: unknown[]}} TaskListeners
 * @typedef {{version: string, startedAt: string, uptimeS: number, ready: boolean, stale: boolean,
 *   lagMs: number | null, connections: number, polls: number, users: number, rooms: number, knownTasks: number,
 *   workers?: Worker[], unanswered?: number[]}} Stats
 * @typedef {{worker: number, ready: boolean, stale: boolean, lagMs: number | null, connections: number}} Worker
 * @typedef {{reloaded: boolean, changed: string[], needRestart: string[]}} Reloaded
 */

/** There was no answer, or a refusal. The message is a sentence for the reader. */
export class NoAnswer extends Error {
  /**
   * @param {string} message
   * @param {number} [status] of the answer; 0 without one
   */
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }

  /** Whether the token is the reason. */
  get isDenied() {
    return this.status === 401 || (this.status === 403 && this.message === LACKS_CLAIM);
  }
}

/** @param {AbortSignal} [signal] */
export function stats(signal) {
  return /** @type {Promise<Stats>} */ (ask("GET", "stats", signal));
}

/**
 * @param {string} user "" for all users
 * @param {number} limit
 * @param {AbortSignal} [signal]
 */
export function connections(user, limit, signal) {
  const query = new URLSearchParams({ limit: String(limit), ...(user && { user }) });
  return /** @type {Promise<Connections>} */ (ask("GET", `connections?${query}`, signal));
}

/**
 * @param {string} taskId
 * @param {AbortSignal} [signal]
 */
export function listeners(taskId, signal) {
  return /** @type {Promise<TaskListeners>} */ (ask("GET", `tasks/${segment(taskId)}`, signal));
}

/** @param {string} user */
export function disconnect(user) {
  return /** @type {Promise<{disconnected: number, unanswered?: unknown[]}>} */ (ask("DELETE", `users/${segment(user)}`));
}

export function reload() {
  return /** @type {Promise<Reloaded>} */ (ask("POST", "reload"));
}

/**
 * @param {string} method
 * @param {string} path relative to this page, so that it is right behind a proxy that serves the page under a path
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
async function ask(method, path, signal) {
  if (!PRINTABLE.test(token())) throw new NoAnswer("This is no token: it has characters that no token has.", 401);
  const signals = [AbortSignal.timeout(ANSWER_WITHIN_MS), ...(signal ? [signal] : [])];
  let response;
  let body;
  try {
    response = await fetch(path, {
      method,
      headers: { authorization: `Bearer ${token()}` },
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.any(signals),
    });
    body = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new NoAnswer(signals[0].aborted ? "The relay did not answer within 10 s." : "The relay cannot be reached.");
  }
  const answer = parsed(body);
  if (response.ok && typeof answer === "object" && answer !== null) return answer;
  throw new NoAnswer(refusal(response, answer?.data ?? {}), response.status);
}

/**
 * @param {Response} response
 * @param {{message?: unknown}} error the data of an `error` message, if the relay sent one
 */
function refusal({ status, ok }, { message }) {
  const said = typeof message === "string" ? message : "";
  switch (status) {
    case 401:
      return said === "token_expired" ? "This token has expired." : "The relay does not accept this token.";
    case 403:
      if (said !== "origin_not_allowed") return LACKS_CLAIM;
      return "The relay takes this page for one of another site: the proxy has to pass on the Host header.";
    case 404:
    case 405:
      return said || "This relay cannot do that.";
    default:
      if (ok) return "What answered is not the relay, or another version of it.";
      return said || `The relay answered with HTTP ${status}.`;
  }
}

/** @param {string} body */
function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return null; // from a proxy, or empty
  }
}

/**
 * A value as one segment of a path.
 * @param {string} value
 */
function segment(value) {
  // `encodeURIComponent` throws for half of a surrogate pair.
  return encodeURIComponent(value.replace(/\p{Surrogate}/gu, "\ufffd"));
}

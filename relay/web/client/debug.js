// @ts-check
// What `relay.debug()` reports, and the notes it is made of. Pure.
//
// Rules of this file:
// - No token, and no title: only a payload that was asked for has what a task holds.
// - Memory is bounded. A note of a message is an object that exists already, so noting one makes no garbage.

/** @typedef {import("./connection.js").State} State */
/** @typedef {import("./connection.js").Status} Status */

/**
 * A message of the relay.
 * @typedef {object} DebugMessage
 * @property {number} at when it arrived, in ms since the epoch
 * @property {string} type
 * @property {number} size characters of its JSON; over long polling, of the whole answer that it came in
 * @property {string | null} [room] the task it is about, null for the list; absent where it is about the connection
 * @property {string} [payload] the JSON of its `data`, cut after 4,096 characters: only for `debug({ payloads: true })`
 */

/**
 * A status that the connection had.
 * @typedef {object} DebugStatus
 * @property {number} at when it began, in ms since the epoch
 * @property {State} state
 * @property {string} [reason]
 * @property {number} [code] the close code of the connection that ended; 1006 for an end without an explanation
 */

/**
 * What the application has joined.
 * @typedef {object} DebugRoom
 * @property {string | null} room the id of the task, null for the list
 * @property {string} state of the timeline or the list
 * @property {string} phase what the client has of the relay's answer: `wanted`, `asked`, `joined`, `gone`, `full`, `refused`
 * @property {number} held how many events of the task, or tasks of the list, are here
 * @property {number} [since] the position in the task; absent before the first state
 * @property {string} [head] belongs to `since`
 */

/**
 * The times of a token, in ms since the epoch; absent where it names none or cannot be read.
 * @typedef {{length: number, issuedAt?: number, expiresAt?: number}} DebugToken
 */

/**
 * A plain object, safe to be shown to others: it has no token and no title. It has ids of tasks.
 * @typedef {object} DebugReport
 * @property {number} at when it was made, in ms since the epoch
 * @property {State} state
 * @property {string} [why] the reason of the state, a word of `Status`
 * @property {number} [code] the close code of the last connection, if it is the reason
 * @property {number} [nextTryAt] of the next attempt, in ms since the epoch
 * @property {"websocket" | "polling" | null} transport null while nothing is connected
 * @property {DebugToken | null} token the one that was used last
 * @property {number} reconnects how often a WebSocket opened again
 * @property {number} received messages since the client was made
 * @property {number} [heardAt] when the last message arrived, in ms since the epoch
 * @property {number[]} delaysMs from the database to here, of the last changes; empty without `measureDelay`
 * @property {DebugRoom[]} rooms
 * @property {DebugStatus[]} statuses the last 50, the oldest first
 * @property {DebugMessage[]} messages the last 50, the oldest first
 */

const KEPT = 50; // messages, and statuses
const PAYLOAD_MAX_LENGTH = 4_096;

/** @typedef {{at: number, type: string, size: number, taskId: string | undefined, payload: string | undefined}} Note */

export class Notes {
  /** How many messages were received. */
  received = 0;
  /** Whether payloads are kept from now on. */
  keepsPayloads = false;
  /** @type {DebugStatus[]} */
  statuses = [];
  /** @type {Note[]} Used in turn. */
  #messages = [];

  /**
   * @param {{type: string, data: any}} message
   * @param {number} size
   * @param {number} at in ms since the epoch
   */
  message({ type, data }, size, at) {
    const place = this.received % KEPT;
    const note = (this.#messages[place] ??= { at, type, size, taskId: undefined, payload: undefined });
    this.received += 1;
    note.at = at;
    note.type = type;
    note.size = size;
    note.taskId = typeof data?.taskId === "string" ? data.taskId : undefined;
    note.payload = this.keepsPayloads ? JSON.stringify(data)?.slice(0, PAYLOAD_MAX_LENGTH) : undefined;
  }

  /**
   * @param {Status} status
   * @param {number | undefined} code
   * @param {number} at in ms since the epoch
   */
  status({ state, reason }, code, at) {
    this.statuses.push({ at, state, ...given({ reason, code }) });
    if (this.statuses.length > KEPT) this.statuses.shift();
  }

  /**
   * The last messages, the oldest first.
   * @param {boolean} withPayloads
   * @returns {DebugMessage[]}
   */
  messages(withPayloads) {
    const first = this.received > KEPT ? this.received % KEPT : 0;
    const inOrder = [...this.#messages.slice(first), ...this.#messages.slice(0, first)];
    return inOrder.map(({ at, type, size, taskId, payload }) => {
      const room = String(type).startsWith("dashboard:") ? null : taskId;
      return { at, type, size, ...given({ room, payload: withPayloads ? payload : undefined }) };
    });
  }
}

/**
 * The values that there are.
 * @template {Record<string, unknown>} T
 * @param {T} values
 * @returns {{[K in keyof T]?: Exclude<T[K], undefined>}}
 */
export function given(values) {
  return /** @type {any} */ (Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)));
}

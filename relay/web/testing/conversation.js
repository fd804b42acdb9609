// @ts-check
// A fake relay's side of one connection: answers requests, and sends what the client has joined.

import { DASHBOARD_LIMIT_DEFAULT, MAX_BATCH, MAX_MESSAGE_BYTES_DEFAULT } from "../client/protocol.js";

/** @typedef {import("../client/messages.js").ErrorCode} ErrorCode */
/** @typedef {import("../client/transports/transport.js").Claims} Claims */

const HEARTBEAT_MS = 25_000;
const LIFE_MS = 3_600_000; // of a token, as the client is told: nothing ends at that time
const RETRY_AFTER_MS = 1_000;
/** @type {Readonly<Record<ErrorCode, boolean>>} The codes of errors, and whether a client may ask again. */
export const TEMPORARY = {
  bad_message: false,
  unknown_type: false,
  bad_request: false,
  forbidden: false,
  rate_limited: true,
  too_many_tasks: false,
  feature_disabled: false,
  unavailable: true,
  internal: true,
};
// No limit on the rate: a client would wait for a timer, and time passes only when a test says so.
const LIMITS = { maxMessageBytes: MAX_MESSAGE_BYTES_DEFAULT, messagesPerSecond: 1_000_000, maxTasks: 200 };

export class Conversation {
  hasList = false;
  /** @type {Set<string>} The tasks that are joined. */
  rooms = new Set();
  #socket;
  #relay;
  /** @type {any} */
  #heartbeat;

  /**
   * @param {import("./network.js").Socket} socket
   * @param {object} relay
   * @param {import("./tasks.js").Tasks} relay.tasks
   * @param {import("../client/host.js").Host} relay.host
   * @param {string} relay.sub of the user
   * @param {() => Claims} relay.claims of the user
   * @param {() => ErrorCode | undefined} relay.failure of the next join
   * @param {(ended: Conversation) => void} relay.ended
   */
  constructor(socket, relay) {
    this.#socket = socket;
    this.#relay = relay;
    socket.onRequest = (request) => this.#answer(request);
    socket.onEnd = () => {
      relay.host.clearTimeout(this.#heartbeat);
      relay.ended(this);
    };
    socket.readyState = 1;
    socket.onopen?.();
    const welcome = { connectionId: "fake", sub: relay.sub, protocol: 1, heartbeatMs: HEARTBEAT_MS, limits: LIMITS };
    this.send("welcome", { ...welcome, expiresAt: this.#time(LIFE_MS), claims: relay.claims() });
    this.#beatLater();
    const { pathname, searchParams } = new URL(socket.url);
    if (pathname.endsWith("/dashboard")) this.#joinList({ limit: Number(searchParams.get("limit")) || undefined });
  }

  /**
   * @param {string} type
   * @param {object} data
   * @param {{replyTo?: string, at?: string}} [envelope]
   */
  send(type, data, { replyTo, at } = {}) {
    this.#socket.deliver({ type, data, at, replyTo });
  }

  /**
   * Sends the messages of a change that this connection has joined, each once.
   * @param {readonly import("./tasks.js").Told[]} messages
   */
  tell(messages) {
    const at = this.#time();
    for (const { type, data, list, room } of messages) {
      if ((list && this.hasList) || (room && this.rooms.has(data.taskId))) this.send(type, data, { at });
      if (type === "task:deleted" || type === "task:revoked") this.rooms.delete(data.taskId);
    }
  }

  /** Asks the client for a fresh token, and with it for the claims of the user. */
  askToken() {
    this.send("auth:expiring", { expiresAt: this.#time(LIFE_MS) });
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  end(code, reason) {
    this.#socket.end(code, reason);
  }

  /** @param {{type: string, id?: string, data?: any}} request */
  #answer({ type, id: replyTo, data = {} }) {
    switch (type) {
      case "auth":
        return this.send("auth:ok", { expiresAt: this.#time(LIFE_MS), claims: this.#relay.claims() }, { replyTo });
      case "dashboard:join":
        return this.#joinList(data, replyTo);
      case "dashboard:leave":
        this.hasList = false;
        return this.send("dashboard:left", {}, { replyTo });
      case "task:join":
        return this.#joinTasks(data.tasks ?? [data], replyTo);
      case "task:leave":
        this.rooms.delete(data.taskId);
        return this.send("task:left", { taskId: data.taskId }, { replyTo });
      case "ping":
        return this.send("pong", { serverTime: this.#time() }, { replyTo });
      default:
        return this.#refuse("unknown_type", { replyTo });
    }
  }

  /**
   * @param {{limit?: number}} join
   * @param {string} [replyTo]
   */
  #joinList({ limit = DASHBOARD_LIMIT_DEFAULT }, replyTo) {
    const failure = this.#relay.failure();
    if (failure !== undefined) return this.#refuse(failure, { replyTo });
    this.hasList = true;
    const tasks = this.#relay.tasks.summaries.slice(0, limit);
    this.send("dashboard:state", { tasks, reset: true, more: false }, { replyTo });
  }

  /**
   * @param {{taskId: string, since?: number | null, head?: string | null}[]} joins
   * @param {string} [replyTo]
   */
  #joinTasks(joins, replyTo) {
    const failure = this.#relay.failure();
    const rooms = new Set([...this.rooms, ...joins.map(({ taskId }) => taskId)]);
    if (joins.length > MAX_BATCH) return this.#refuse("bad_request", { replyTo });
    if (rooms.size > LIMITS.maxTasks) return this.#refuse("too_many_tasks", { replyTo });
    for (const { taskId, ...position } of joins) {
      if (failure !== undefined) this.#refuse(failure, { replyTo, taskId });
      else if (!this.#relay.tasks.isVisible(taskId)) this.#refuse("forbidden", { replyTo, taskId });
      else {
        this.rooms.add(taskId);
        this.send("task:state", this.#relay.tasks.state(taskId, position), { replyTo });
      }
    }
  }

  /**
   * @param {ErrorCode} code
   * @param {{replyTo?: string, taskId?: string}} request
   */
  #refuse(code, { replyTo, taskId }) {
    const temporary = TEMPORARY[code];
    const waits = temporary ? { retryAfterMs: RETRY_AFTER_MS } : {};
    this.send("error", { code, message: `The fake relay says ${code}.`, temporary, taskId, ...waits }, { replyTo });
  }

  #beatLater() {
    this.#heartbeat = this.#relay.host.setTimeout(() => {
      this.send("heartbeat", { serverTime: this.#time() });
      this.#beatLater();
    }, HEARTBEAT_MS);
  }

  /** @param {number} [afterMs] */
  #time(afterMs = 0) {
    return new Date(this.#relay.host.now() + afterMs).toISOString();
  }
}

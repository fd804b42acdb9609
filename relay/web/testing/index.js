// @ts-check
// A relay for the tests of an application: the real client over a relay that runs inside of the test.
//
//   const fake = fakeRelay({ tasks: [{ taskId: "t1", title: "Export invoices" }], me: "alice" });
//   const list = fake.relay.joinDashboard();
//   await fake.push("t1", { type: "pr_opened", prUrl: "https://git.example/8" });
//
// No network, no timers: everything that happens has happened when the promise of a method resolves.

import { Relay } from "../client/index.js";
import { Conversation, TEMPORARY } from "./conversation.js";
import { Network } from "./network.js";
import { Tasks } from "./tasks.js";

/** @typedef {import("../client/application-types.js").ApplicationTypes} ApplicationTypes */
/** @typedef {import("../client/messages.js").AnyEvents} AnyEvents */
/** @typedef {import("../client/messages.js").ErrorCode} ErrorCode */
/** @typedef {import("../client/transports/transport.js").Claims} Claims */
/** @typedef {import("./tasks.js").TaskFields} TaskFields */
/**
 * @template {ApplicationTypes} T
 * @typedef {import("../client/application-types.js").EventsOf<T>} EventsOf
 */
/**
 * @template [E=AnyEvents]
 * @typedef {import("./tasks.js").GivenTask<E>} GivenTask
 */
/**
 * @template [E=AnyEvents]
 * @typedef {import("./tasks.js").WrittenEvent<E>} WrittenEvent
 */

/**
 * A user: the `sub` of the token, or `sub` and other claims, as in `{sub: "alice", teams: ["red"]}`.
 * @typedef {string | ({sub: string} & {[claim: string]: string | readonly string[]})} User
 */

/**
 * @template {ApplicationTypes} [T=ApplicationTypes]
 * @typedef {object} FakeRelayOptions
 * @property {readonly GivenTask<EventsOf<T>>[]} [tasks] the tasks, oldest first
 * @property {User | null} [me] who is signed in: "alice" where nothing is said, nobody where it is null
 */

/** @typedef {{sub: string, claims: Claims, token: string}} SignedIn */

// The reasons with which a real relay closes (PROTOCOL.md section 7).
/** @type {ReadonlyMap<number, string>} */
const REASONS = new Map([
  [1011, "internal error"],
  [4401, "unauthenticated"],
  [4403, "disconnected"],
  [4408, "stalled"],
  [4429, "rate_limited:1000"],
  [4430, "at_capacity"],
  [4500, "bad_handshake"],
  [4502, "feature_disabled"],
]);

/**
 * Makes a relay that runs inside of the test. In TypeScript, `fakeRelay<{ events: MyEvents }>(…)` types what events hold.
 * Throws as `add` does.
 * @template {ApplicationTypes} [T=ApplicationTypes]
 * @param {FakeRelayOptions<T>} [options]
 * @returns {FakeRelay<T>}
 */
export function fakeRelay(options) {
  return new FakeRelay(options);
}

/**
 * Every method that changes something takes effect at once, is sent to the clients in microtasks, and returns
 * `settled()`. A wrong call throws at once, and changes nothing.
 * @template {ApplicationTypes} [T=ApplicationTypes]
 */
export class FakeRelay {
  #network = new Network((socket) => this.#greet(socket));
  #tasks = new Tasks();
  /** @type {SignedIn | null} */
  #user;
  /** @type {Set<Conversation>} */
  #conversations = new Set();
  /** @type {Set<Relay<T>>} */
  #relays = new Set();
  /** @type {Relay<T> | null} */
  #relay = null;
  /** @type {number | null} */
  #staleMs = null;
  /** @type {ErrorCode[]} */
  #failures = [];

  /** @param {FakeRelayOptions<T>} [options] */
  constructor({ tasks = [], me = "alice" } = {}) {
    this.#user = userOf(me);
    for (const task of tasks) this.#tasks.add(/** @type {GivenTask} */ (task));
    /**
     * What `connect` and `RelayProvider` take to reach this relay, as in `<RelayProvider {...fake.options}>`.
     * @readonly
     */
    this.options = { url: "http://relay.test/ws", token: () => this.#user?.token ?? null, host: this.#network.host };
  }

  /** What `connect` returns: a client that is connected to this relay. The same one at each time. */
  get relay() {
    this.#relay ??= this.connect();
    return this.#relay;
  }

  /** Another client of this relay. @returns {Relay<T>} */
  connect() {
    const relay = /** @type {Relay<T>} */ (new Relay(this.options));
    this.#relays.add(relay);
    return relay;
  }

  /** What the clients have joined now: to test that an application leaves what it no longer shows. */
  get joined() {
    const all = [...this.#conversations];
    return { list: all.some(({ hasList }) => hasList), tasks: [...new Set(all.flatMap(({ rooms }) => [...rooms]))] };
  }

  /**
   * Appends an event to a task and, in the same change, sets fields of its summary, as writers do. Throws if there is no
   * such task, or if the event has no `type`.
   * @param {string} taskId
   * @param {WrittenEvent<EventsOf<T>>} event
   * @param {TaskFields} [fields]
   */
  push(taskId, event, fields = {}) {
    return this.#tell(this.#tasks.change(taskId, [/** @type {WrittenEvent} */ (event)], fields));
  }

  /**
   * Sets fields of a task's summary; undefined removes one. Another status sends its lifecycle message
   * (`task:pr_opened`), as with the relay's default mapping. Throws if there is no such task or field.
   * @param {string} taskId
   * @param {TaskFields} fields
   */
  set(taskId, fields) {
    return this.#tell(this.#tasks.change(taskId, [], fields));
  }

  /**
   * Adds a task. Throws if it has no `taskId`, if there is one with this id, or if an event has no `type`.
   * @param {GivenTask<EventsOf<T>>} task
   */
  add(task) {
    return this.#tell(this.#tasks.add(/** @type {GivenTask} */ (task)));
  }

  /** Deletes a task. @param {string} taskId */
  remove(taskId) {
    return this.#tell(this.#tasks.remove(taskId));
  }

  /** Takes the right to see a task from the user. @param {string} taskId */
  revoke(taskId) {
    return this.#tell(this.#tasks.show(taskId, false));
  }

  /** Gives back the right to see a task. @param {string} taskId */
  grant(taskId) {
    return this.#tell(this.#tasks.show(taskId, true));
  }

  /**
   * Closes every connection with this code of PROTOCOL.md section 7. The client does what that code says: after 1011 it
   * comes back with a pause (`advance`), after 4401 and 4403 with another token (`signIn`), after 4502 it rests
   * (`relay.retry()`). A later connection is accepted.
   * @param {number} [code]
   * @param {string} [reason]
   */
  fail(code = 1011, reason = REASONS.get(code) ?? "") {
    if (!Number.isInteger(code) || code < 1000 || code > 4999) {
      throw new TypeError(`A connection fails with a close code from 1000 to 4999, not with ${code}.`);
    }
    for (const conversation of this.#conversations) conversation.end(code, reason);
    return this.settled();
  }

  /**
   * Answers the next join, of the list or of tasks, with this error. `unavailable`, `rate_limited` and `internal` are
   * temporary: the client joins again after one second (`advance`).
   * @param {ErrorCode} code
   */
  failNextJoin(code) {
    if (!Object.hasOwn(TEMPORARY, code)) {
      throw new TypeError(`A join fails with one of ${Object.keys(TEMPORARY).join(", ")}, not with ${code}.`);
    }
    this.#failures.push(code);
    return this.settled();
  }

  /** Takes the network away: connections end, and no other one gets through. */
  offline() {
    this.#network.goOffline();
    return this.settled();
  }

  /** Brings the network back. The clients come back at once, and get what they missed. */
  online() {
    this.#network.goOnline();
    return this.settled();
  }

  /**
   * Says that the relay has lost the database, or is behind it.
   * @param {number} [lagMs] by how much
   */
  stale(lagMs = 60_000) {
    this.#staleMs = lagMs;
    for (const conversation of this.#conversations) conversation.send("stream:status", { state: "stale", lagMs });
    return this.settled();
  }

  /** Says that the relay is current again, after `stale`. */
  live() {
    this.#staleMs = null;
    for (const conversation of this.#conversations) conversation.send("stream:status", { state: "live", lagMs: 0 });
    return this.settled();
  }

  /**
   * Signs a user in: the token function returns a token of this user. Connections of another user end, and come back as
   * this one; the same user gets these claims.
   * @param {User} me
   */
  signIn(me) {
    const before = this.#user;
    this.#user = userOf(me);
    for (const conversation of this.#conversations) {
      if (before?.sub === this.#user?.sub) conversation.askToken();
      else conversation.end(4401, "token_expired");
    }
    this.#network.wake();
    return this.settled();
  }

  /** Signs the user out: connections end, and the token function returns null. */
  signOut() {
    this.#user = null;
    for (const conversation of this.#conversations) conversation.end(4401, "token_expired");
    this.#network.wake();
    return this.settled();
  }

  /**
   * Lets time pass for the clients, so that their attempts to reconnect and their pauses come due. Time does not pass by
   * itself, and this clock is independent of fake timers.
   * @param {number} ms
   * @returns {Promise<void>}
   */
  advance(ms) {
    if (!(ms >= 0)) throw new TypeError(`Time passes by a number of ms, not by ${ms}.`);
    return this.#network.advance(ms);
  }

  /**
   * Resolves when everything that was sent has arrived and nothing happens by itself any more. It waits for microtasks
   * only, so it works with fake timers.
   * @returns {Promise<void>}
   */
  settled() {
    return this.#network.settled();
  }

  /** Closes the clients that `relay` and `connect` made. A test need not do that: nothing keeps the process alive. */
  close() {
    for (const relay of this.#relays) relay.close();
    return this.settled();
  }

  /** @param {readonly import("./tasks.js").Told[]} messages */
  #tell(messages) {
    for (const conversation of this.#conversations) conversation.tell(messages);
    return this.settled();
  }

  /** @param {import("./network.js").Socket} socket */
  #greet(socket) {
    const user = this.#user;
    if (user === null) return socket.end(4401, "unauthenticated");
    const conversation = new Conversation(socket, {
      tasks: this.#tasks,
      host: this.#network.host,
      sub: user.sub,
      claims: () => this.#user?.claims ?? {},
      failure: () => this.#failures.shift(),
      ended: (ended) => this.#conversations.delete(ended),
    });
    this.#conversations.add(conversation);
    if (this.#staleMs !== null) conversation.send("stream:status", { state: "stale", lagMs: this.#staleMs });
  }

}

let tokens = 0;

/**
 * @param {User | null} me
 * @returns {SignedIn | null}
 */
function userOf(me) {
  if (me === null) return null;
  const { sub, ...others } = typeof me === "string" ? { sub: me } : me;
  if (typeof sub !== "string" || sub === "") throw new TypeError('A user needs a `sub`, a string, as in {sub: "alice"}.');
  const claims = Object.entries(others).map(([claim, value]) => [claim, [value].flat()]);
  const all = { sub: [sub], ...Object.fromEntries(claims) };
  tokens += 1; // each sign-in has a token of its own
  const token = [{ alg: "none" }, { ...all, sub, jti: `fake-${tokens}` }, "not signed"].map(base64url).join(".");
  return { sub, claims: all, token };
}

/** @param {unknown} value */
function base64url(value) {
  const escaped = encodeURIComponent(JSON.stringify(value)); // in UTF-8
  const bytes = escaped.replace(/%(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
